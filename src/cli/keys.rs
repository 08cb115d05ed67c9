//! Single keys from a terminal, without an Enter behind them.

use std::io::{self, IsTerminal};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// What was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    None,
    Quit,
    Interrupt,
}

/// The keyboard, until it is dropped: then the terminal is as before.
pub struct Keys {
    before: Termios,
}

const CONTROL_C: u8 = 3;

impl Keys {
    /// Takes the keyboard; `None` where stdin or stdout is no terminal.
    pub fn take() -> Option<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        let before = tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        // ^C comes as a key, so that the terminal can be put back.
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self { before })
    }

    /// Waits so long for a key that means something.
    pub fn wait(&self, at_most: Duration) -> Key {
        let stdin = io::stdin();
        let timeout = Timespec { tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        if !poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0) {
            return Key::None;
        }
        let mut byte = [0; 1];
        match rustix::io::read(&stdin, &mut byte) {
            Ok(1) if byte[0] == b'q' => Key::Quit,
            Ok(1) if byte[0] == CONTROL_C => Key::Interrupt,
            // The end of the input: nobody is there any more.
            Ok(0) | Err(_) => Key::Quit,
            Ok(_) => Key::None,
        }
    }

    /// Rows of the terminal.
    pub fn rows(&self) -> usize {
        tcgetwinsize(io::stdout()).map_or(24, |size| usize::from(size.ws_row))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
