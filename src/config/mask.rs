//! What of a source line may be shown. A problem prints the line it is on, and that line may hold a secret; so every
//! value that is one, may be one (a key that looks like a mistyped `secret`) or carries one (the path of a URL) is
//! replaced by `***` first.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problems::Excerpt;

/// Keys whose every value is hidden, and words that make a key suspect.
const SECRET_KEYS: &[&str] = &["secret", "headers", "client_secret", "password", "authorization"];
const SECRET_WORDS: &[&str] = &["secret", "token", "passw", "authoriz", "credential", "api_key", "apikey"];
/// Keys that name a place to find a secret, and may be read aloud.
const POINTERS: &[&str] = &["_file", "_env", "_url"];
/// Settings that may be shown even on a line that is not TOML.
const PLAIN_KEYS: &[&str] = &[
    "name",
    "tenant",
    "id",
    "dialect",
    "events",
    "event",
    "table",
    "operations",
    "where",
    "mode",
    "timeout",
    "retry",
    "max_in_flight",
    "rate_limit",
    "order_by",
    "start",
    "active",
    "dir",
    "pattern",
    "max_line",
    "listen",
    "hosts",
    "socket",
    "workers",
    "pause_failing_after",
    "scope",
    "body",
    "max_subscriptions",
    "require_https",
    "retention",
    "history",
];
const SECRET_PREFIXES: &[&str] = &["whsec_", "whsk_", "Bearer ", "Basic "];
const SHOWN: &str = "***";

/// The whole file with everything hidden that must not be shown; `None` when it is not TOML, and nobody can tell.
pub fn masked(text: &str) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for range in hidden(root.get_ref(), text).into_iter().filter(|range| range.start < range.end) {
        if range.start >= at {
            shown.push_str(&text[at..range.start]);
            shown.push_str(SHOWN);
        }
        at = at.max(range.end);
    }
    shown.push_str(&text[at..]);
    Some(shown)
}

/// The byte ranges of `text` that must not be shown, in order.
pub(super) fn hidden(root: &DeTable<'_>, text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    in_table(root, text, false, &mut ranges);
    ranges.sort_by_key(|range| range.start);
    ranges
}

fn in_table(table: &DeTable<'_>, text: &str, secret: bool, ranges: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        // A token request may carry its secret in an extra parameter.
        let token_params = key.get_ref() == "params" && table.contains_key("token_url");
        if let (DeValue::String(_), "url" | "token_url" | "proxy") = (value.get_ref(), key.get_ref().as_ref()) {
            in_url(text.get(value.span()).unwrap_or_default(), value.span().start, ranges);
        } else {
            in_value(value, text, secret || token_params || is_suspect(key.get_ref()), ranges);
        }
    }
}

fn in_value(value: &Spanned<DeValue<'_>>, text: &str, secret: bool, ranges: &mut Vec<Range<usize>>) {
    let span = value.span();
    match value.get_ref() {
        DeValue::Table(table) => in_table(table, text, secret, ranges),
        DeValue::Array(items) => items.iter().for_each(|item| in_value(item, text, secret, ranges)),
        DeValue::String(written) => {
            let raw = text.get(span.clone()).unwrap_or_default();
            if secret || SECRET_PREFIXES.iter().any(|prefix| written.starts_with(prefix)) {
                ranges.push(inside_quotes(raw, span.start));
            } else if written.contains("://") {
                in_url(raw, span.start, ranges);
            }
        }
        DeValue::Boolean(_) => {}
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => {
            if secret {
                ranges.push(span);
            }
        }
    }
}

fn inside_quotes(raw: &str, start: usize) -> Range<usize> {
    let quotes = if raw.starts_with("'''") || raw.starts_with("\"\"\"") { 3 } else { 1 };
    start + quotes..(start + raw.len()).saturating_sub(quotes).max(start + quotes)
}

/// Hides a URL's user information and whatever follows its first `/`, `?` or `#`; the scheme may have been forgotten.
fn in_url(raw: &str, start: usize, ranges: &mut Vec<Range<usize>>) {
    let quotes = raw.len() - raw.trim_start_matches(['"', '\'']).len();
    let authority = raw.find("://").map_or(quotes, |at| at + 3);
    let path = raw[authority..].find(['/', '?', '#']).map_or(raw.len(), |at| authority + at);
    if let Some(at) = raw[authority..path].rfind('@') {
        ranges.push(start + authority..start + authority + at);
    }
    let end = raw.trim_end_matches(['"', '\'']).len();
    if path + 1 < end {
        ranges.push(start + path + 1..start + end);
    }
}

/// Whether a key holds secrets, or looks like a mistyped one that does.
fn is_suspect(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    if POINTERS.iter().any(|pointer| key.ends_with(pointer)) || PLAIN_KEYS.contains(&key.as_str()) {
        return false;
    }
    SECRET_WORDS.iter().any(|word| key.contains(word))
        || SECRET_KEYS.iter().any(|known| strsim::osa_distance(known, &key) <= 2)
}

/// What to hide in a line of a file with syntax faults, where the tree may not know the value: everything but the key,
/// unless the line sets something that is no secret.
pub(super) fn hidden_in_damaged_line(line: &str) -> Option<Range<usize>> {
    let key_end = line.find(|at: char| !(at.is_ascii_alphanumeric() || " \t_-.".contains(at))).unwrap_or(line.len());
    let key = line[..key_end].split_whitespace().next().unwrap_or_default();
    let harmless = line.trim_start().starts_with(['[', '#']) && !line.contains(['"', '\'']);
    // A second `=` may set something else, in what once was an inline table.
    let plain = PLAIN_KEYS.contains(&key) && line.matches('=').count() < 2;
    if harmless || plain || line.trim().is_empty() {
        return None;
    }
    let start = match line.find('=') {
        Some(equals) if key_end == equals => equals + 1,
        _ => 0,
    };
    let start = start + (line[start..].len() - line[start..].trim_start().len());
    (start < line.len()).then_some(start..line.len())
}

/// `line` of `text` as it may be shown, with `marked` moved to where its characters ended up.
pub(super) fn excerpt(text: &str, line: Range<usize>, marked: Range<usize>, hidden: &[Range<usize>]) -> Excerpt {
    let mut shown = String::new();
    let mut shown_len = 0;
    let mut start = None;
    let mut end = None;
    let mut was_hidden = false;
    for (at, character) in text[line.clone()].char_indices() {
        let at = line.start + at;
        let is_hidden = hidden.iter().any(|range| range.contains(&at));
        let begins = shown_len - if is_hidden && was_hidden { SHOWN.len() } else { 0 };
        if is_hidden && !was_hidden {
            shown.push_str(SHOWN);
            shown_len += SHOWN.len();
        } else if !is_hidden {
            shown.push(if character.is_control() { ' ' } else { character });
            shown_len += 1;
        }
        if at >= marked.start {
            start.get_or_insert(begins);
        }
        if at < marked.end {
            end = Some(shown_len);
        }
        was_hidden = is_hidden;
    }
    let start = start.unwrap_or(shown_len);
    Excerpt { text: shown, start, end: end.unwrap_or(start).max(start) }
}
