//! A webhook's settings, as JSON has them, written as one `[[subscription]]` in TOML. Every value stands on a line of its
//! own, so that the line of a problem leads back to the member it is about.

use serde_json::{Map, Value};

/// Settings by the names of the configuration.
pub(super) type Members = Map<String, Value>;

/// What is written first, for people; the rest follows by name.
const FIRST: &[&str] = &["name", "tenant", "url", "events", "table", "operations", "where", "dialect", "active"];

/// The text of one webhook, and what each of its lines is about.
pub(super) struct Block {
    pub(super) text: String,
    /// JSON pointers, in the form of a URI fragment.
    pointers: Vec<String>,
}

impl Block {
    /// Writes `members`; `spelled` is how whoever asked calls a setting.
    pub(super) fn write(members: &Members, spelled: &dyn Fn(&str) -> String) -> Self {
        let mut block = Self { text: String::new(), pointers: Vec::new() };
        block.line("[[subscription]]", "#");
        let rank = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
        let mut entries: Vec<_> = members.iter().collect();
        entries.sort_by_key(|(name, value)| (value.is_object(), rank(name)));
        for (name, value) in entries {
            block.member(name, value, "subscription", &format!("#/{}", escape(&spelled(name))));
        }
        block
    }

    /// What line `line` (from 1) is about; the whole webhook when there is no such line.
    pub(super) fn pointer(&self, line: u32) -> &str {
        let index = (line as usize).checked_sub(1);
        index.and_then(|index| self.pointers.get(index)).map_or("#", String::as_str)
    }

    fn line(&mut self, text: &str, pointer: &str) {
        self.text.push_str(text);
        self.text.push('\n');
        self.pointers.push(pointer.to_owned());
    }

    fn member(&mut self, name: &str, value: &Value, above: &str, pointer: &str) {
        match value {
            Value::Null => {}
            Value::Object(members) => {
                let path = format!("{above}.{}", quoted(name));
                self.line(&format!("[{path}]"), pointer);
                let mut entries: Vec<_> = members.iter().collect();
                entries.sort_by_key(|(_, value)| value.is_object());
                for (name, value) in entries {
                    self.member(name, value, &path, &format!("{pointer}/{}", escape(name)));
                }
            }
            Value::Array(items) if !items.is_empty() => {
                self.line(&format!("{} = [", quoted(name)), pointer);
                for (index, item) in items.iter().enumerate() {
                    self.line(&format!("  {},", inline(item)), &format!("{pointer}/{index}"));
                }
                self.line("]", pointer);
            }
            value => self.line(&format!("{} = {}", quoted(name), inline(value)), pointer),
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let there = members.iter().filter(|(_, value)| !value.is_null());
            let members = there.map(|(name, value)| format!("{} = {}", quoted(name), inline(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        // TOML knows no null; the members that are asked for take none, and say so of an empty text.
        Value::Null => "\"\"".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A basic string of TOML: JSON's escapes, and one more character that must be escaped.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// One step of a JSON pointer (RFC 6901) in a URI fragment.
pub(super) fn escape(name: &str) -> String {
    let mut step = String::new();
    for character in name.replace('~', "~0").replace('/', "~1").chars() {
        match character {
            '!' | '$' | '&'..=';' | '=' | '?'..='Z' | '_' | 'a'..='z' | '~' => step.push(character),
            other => other.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| step.push_str(&format!("%{byte:02X}"))),
        }
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(json: &str) -> Members {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_line_knows_its_member_and_the_text_reads_back() {
        let given = members(
            r#"{"url":"https://a.example/\"q\"\n","events":["a.b","c.*"],"headers":{"X-A/b":"v\u007f","n":null},
                "oauth2":{"client_id":"c","params":{"a b":"x"}},"retry":{"schedule":["1s"],"jitter":0.5},"max_in_flight":3}"#,
        );
        let block = Block::write(&given, &|name| name.to_owned());
        let table: toml::Table = block.text.parse().unwrap_or_else(|error| panic!("{error}\n{}", block.text));
        let hook = &table["subscription"][0];
        assert_eq!(hook["url"].as_str(), Some("https://a.example/\"q\"\n"));
        assert_eq!(hook["headers"]["X-A/b"].as_str(), Some("v\u{7f}"));
        assert_eq!(hook["oauth2"]["params"]["a b"].as_str(), Some("x"));
        assert_eq!(hook["retry"]["jitter"].as_float(), Some(0.5));
        let line = |text: &str| {
            let at = block.text.lines().position(|line| line.contains(text)).unwrap();
            block.pointer(u32::try_from(at).unwrap() + 1).to_owned()
        };
        assert_eq!(line("[[subscription]]"), "#");
        assert_eq!(line("c.*"), "#/events/1");
        assert_eq!(line("X-A/b"), "#/headers/X-A~1b");
        assert_eq!(line("a b"), "#/oauth2/params/a%20b");
        assert_eq!(line("max_in_flight"), "#/max_in_flight");
        assert_eq!(block.pointer(0), "#");
        assert_eq!(block.pointer(999), "#");
    }
}
