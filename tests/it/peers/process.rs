//! Programs that must end.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `command` with `input` on its standard input until it ends; one that does not is killed and fails the test.
pub fn finish(command: &mut Command, input: &[u8]) -> Output {
    finish_within(PATIENCE, command, input)
}

/// The same for one that may take longer.
pub fn finish_within(patience: Duration, command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let pid = Pid::from_child(&child);
    // Whoever ends without reading its input says why in its output.
    let _ = child.stdin.take().unwrap().write_all(input);
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait_with_output()));
    let Ok(output) = end.recv_timeout(patience) else {
        kill_process(pid, Signal::KILL).unwrap();
        let output = end.recv().unwrap().unwrap();
        panic!("{command:?} did not end: {}", String::from_utf8_lossy(&output.stderr));
    };
    output.unwrap()
}

/// The output of a program that must succeed.
pub fn succeed(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let output = finish(command, input);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    output.stdout
}
