//! Questions to the person at the terminal. Without one there is no question, and the answer is no.

use std::io;

use super::output::Output;

/// Asks and reads `y` or `yes`.
pub fn confirm(out: &mut Output, question: &str) -> bool {
    if !out.interactive {
        return false;
    }
    out.ask(&format!("{question} [y/N]"));
    let mut answer = String::new();
    matches!(io::stdin().read_line(&mut answer), Ok(read) if read > 0)
        && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Asks and reads a line; `None` without a terminal.
pub fn ask(out: &mut Output, question: &str) -> Option<String> {
    if !out.interactive {
        return None;
    }
    out.ask(question);
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer).ok()?;
    (read > 0).then(|| answer.trim().to_owned())
}
