//! Colours, as the ANSI codes that the output drops again where nobody sees them.

/// How a piece of text is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
}

/// `text` with the codes of `tone` around it.
pub fn paint(tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Bold => "1",
        Tone::Dim => "2",
        Tone::Good => "32",
        Tone::Warn => "33",
        Tone::Bad => "31",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// The tone of a state or status word.
pub fn tone_of(word: &str) -> Tone {
    match word {
        "active" | "running" | "delivered" | "success" => Tone::Good,
        "degraded" | "paused" | "pending" | "stopping" | "cancelled" | "expired" => Tone::Warn,
        "failing" | "failed" | "unknown" | "stopped" | "waiting" => Tone::Bad,
        "disabled" => Tone::Dim,
        _ => Tone::Plain,
    }
}
