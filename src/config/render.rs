//! A problem as a terminal shows it:
//!
//! ```text
//! error[E001]: unknown key `event` in [[subscription]]
//!   --> bad.toml:7:1
//!    |
//!  7 | event   = ["invoice.*", "payment.created"]
//!    | ^^^^^ not a setting
//!    = help: did you mean `events`?
//! ```
//!
//! `path:line:column` stands alone, so that editors and terminals can link it.

use std::fmt::Write;

use super::problems::{Problem, Spot};

/// The text above, ending in a newline. A code that begins with `W` is a warning.
pub(super) fn problem(problem: &Problem) -> String {
    let severity = if problem.code.starts_with('W') { "warning" } else { "error" };
    let places = || std::iter::once(&problem.at).chain(problem.also.as_deref());
    let width = places().map(|spot| spot.line.to_string().len()).max().unwrap_or(1);
    let mut text = format!("{severity}[{}]: {}\n", problem.code, problem.message);
    for (number, spot) in places().enumerate() {
        snippet(&mut text, spot, width, number == 0);
    }
    if let Some(help) = &problem.help {
        put(&mut text, format_args!("{:width$}  = help: {help}\n", ""));
    }
    text
}

/// `1 error`, `2 errors`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn snippet(text: &mut String, spot: &Spot, width: usize, first: bool) {
    let (arrow, mark) = if first { ("-->", "^") } else { (":::", "-") };
    if spot.line == 0 {
        put(text, format_args!("{:width$} {arrow} {}\n", "", spot.file.display()));
        if !spot.label.is_empty() {
            put(text, format_args!("{:width$}  = {}\n", "", spot.label));
        }
        return;
    }
    put(text, format_args!("{:width$} {arrow} {}:{}:{}\n", "", spot.file.display(), spot.line, spot.column));
    if first {
        put(text, format_args!("{:width$}  |\n", ""));
    }
    put(text, format_args!(" {:>width$} | {}\n", spot.line, spot.excerpt.text));
    let marks = mark.repeat(spot.excerpt.end.saturating_sub(spot.excerpt.start).max(1));
    let line = format!("{:width$}  | {:indent$}{marks} {}", "", "", spot.label, indent = spot.excerpt.start);
    put(text, format_args!("{}\n", line.trim_end()));
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("writing to a String cannot fail");
}
