//! One event as a line.

use serde_json::value::RawValue;

/// A record that is no JSON.
#[derive(Debug, thiserror::Error)]
#[error("{field} is not JSON: {source}")]
pub struct NotJson {
    /// `data` or `old`.
    pub field: &'static str,
    #[source]
    pub source: serde_json::Error,
}

/// An event that is being put together. What is left out the engine fills in.
#[derive(Clone, Debug)]
pub struct EventLine {
    text: String,
    data: String,
    old: Option<String>,
}

impl EventLine {
    /// `data` is the record as JSON. It reaches receivers byte for byte, but for line breaks between its tokens, which become
    /// spaces.
    pub fn new(event_type: &str, data: &str) -> Result<Self, NotJson> {
        Ok(Self { text: format!("{{\"type\":{}", quoted(event_type)), data: one_line("data", data)?, old: None })
    }

    /// Your idempotency key.
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        self.with("id", id)
    }

    /// Whose event it is.
    #[must_use]
    pub fn tenant(self, tenant: &str) -> Self {
        self.with("tenant", tenant)
    }

    /// The entity's id, for order per key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.with("key", key)
    }

    /// When it happened, RFC 3339.
    #[must_use]
    pub fn time(self, time: &str) -> Self {
        self.with("time", time)
    }

    /// The record before the change, as JSON.
    pub fn old(mut self, old: &str) -> Result<Self, NotJson> {
        self.old = Some(one_line("old", old)?);
        Ok(self)
    }

    /// The line, without its line feed.
    pub fn line(&self) -> String {
        let old = self.old.as_ref().map_or(String::new(), |old| format!(",\"old\":{old}"));
        format!("{},\"data\":{}{old}}}", self.text, self.data)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.text.push_str(&format!(",\"{name}\":{}", quoted(value)));
        self
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// JSON with its line breaks turned into spaces. A JSON string cannot hold a raw line break (RFC 8259 section 7), so
/// all of them lie between tokens.
fn one_line(field: &'static str, text: &str) -> Result<String, NotJson> {
    let raw = serde_json::from_str::<&RawValue>(text).map_err(|source| NotJson { field, source })?;
    Ok(raw.get().replace(['\n', '\r'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_stays_as_written_but_on_one_line() {
        let data = " {\"n\": 1.10,\n \"big\":9007199254740993, \"t\":\"a\\nb\"}\n";
        let event = EventLine::new("invoice.paid", data).unwrap().id("e:1").key("a\"b").old("{\"n\":1.1}").unwrap();
        assert_eq!(
            event.line(),
            "{\"type\":\"invoice.paid\",\"id\":\"e:1\",\"key\":\"a\\\"b\",\
             \"data\":{\"n\": 1.10,  \"big\":9007199254740993, \"t\":\"a\\nb\"},\"old\":{\"n\":1.1}}"
        );
        assert_eq!(EventLine::new("a.b", "{\"a\":}").unwrap_err().field, "data");
    }
}
