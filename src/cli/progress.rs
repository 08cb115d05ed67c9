//! How far a long command is: a bar where somebody watches, a line per step where nobody does, nothing for programs.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;

pub struct Progress {
    bar: Option<ProgressBar>,
    is_told: bool,
}

impl Progress {
    /// Of something that takes about `whole`.
    pub fn new(out: &Output, whole: Duration) -> Self {
        Self::of(out, millis(whole))
    }

    /// Of something that consists of so many parts.
    pub fn of(out: &Output, parts: u64) -> Self {
        let bar = out.is_watched().then(|| {
            let bar = ProgressBar::with_draw_target(Some(parts), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:32} {percent:>3} %  {wide_msg}");
            bar.with_style(style.expect("the template is well-formed").progress_chars("=> "))
        });
        Self { bar, is_told: out.is_human() }
    }

    /// The next step begins.
    pub fn step(&self, out: &mut Output, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None if self.is_told => out.say(text),
            None => {}
        }
    }

    /// So many parts are done, and `text` says what is going on.
    pub fn count(&self, done: u64, text: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(text());
        }
    }

    /// So much of the whole is done, and `text` says what is going on.
    pub fn reach(&self, done: Duration, text: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(millis(done));
            bar.set_message(text());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
