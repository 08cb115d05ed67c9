//! What `add` and `set` may say of a subscription: flags for what is said often, a JSON object for everything else.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use super::super::super::error::{CliError, ExitKind, reason};
use super::super::super::secret;

/// Settings of a subscription
#[derive(Debug, Default, Args)]
pub struct Settings {
    /// Type patterns, separated by commas: `*` is one segment, `**` any number
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    events: Vec<String>,
    /// A CEL condition over the event's fields
    #[arg(long = "where", value_name = "CEL")]
    condition: Option<String>,
    /// The shape on the wire [default of a new one: umbra, or webhook_dialect of the configuration]
    #[arg(long, value_name = "NAME")]
    dialect: Option<String>,
    /// at-least-once or at-most-once
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// Time for one attempt
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// A schedule by name, or waits such as 5s,1m,10m
    #[arg(long, value_name = "SCHEDULE")]
    retry: Option<String>,
    /// At most so many requests: 50/s, 1000/h
    #[arg(long, value_name = "RATE")]
    rate_limit: Option<String>,
    /// Requests on their way at a time
    #[arg(long, value_name = "N")]
    max_in_flight: Option<u32>,
    /// Keep the order of what has the same key: `key`, or a JSON pointer into the event
    #[arg(long, value_name = "KEY")]
    order_by: Option<String>,
    /// A parameter of the dialect; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// The secret, in a file (- is standard input) [default of a new one: made, and shown once]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Take events (false: switched off, nothing queues)
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    /// Further members as the API takes them, in a JSON file (- is standard input): headers, oauth2, tls ...
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A name, or a list of waits.
fn schedule(text: String) -> Value {
    match text.starts_with(|first: char| first.is_ascii_digit()) {
        true => text.split(',').map(str::trim).collect(),
        false => text.into(),
    }
}

impl Settings {
    /// Whether the receiver's side of the secret is known already.
    pub fn brings_secret(&self) -> bool {
        self.secret_file.is_some()
    }

    /// The members of a request. Flags say more than the file.
    pub fn members(self) -> Result<Map<String, Value>, CliError> {
        let mut members = match &self.from {
            Some(file) => object(file)?,
            None => Map::new(),
        };
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        };
        put("events", (!self.events.is_empty()).then(|| self.events.into()));
        put("where", self.condition.map(Value::from));
        put("dialect", self.dialect.map(Value::from));
        put("mode", self.mode.map(Value::from));
        put("timeout", self.timeout.map(Value::from));
        put("retry", self.retry.map(schedule));
        put("rate_limit", self.rate_limit.map(Value::from));
        put("max_in_flight", self.max_in_flight.map(Value::from));
        put("order_by", self.order_by.map(Value::from));
        put("is_active", self.active.map(Value::from));
        let params: Map<String, Value> = self.params.into_iter().map(|(name, value)| (name, value.into())).collect();
        put("params", (!params.is_empty()).then(|| params.into()));
        if let Some(file) = &self.secret_file {
            put("secret", Some(secret::read(file)?.expose().into()));
        }
        Ok(members)
    }
}

fn object(file: &std::path::Path) -> Result<Map<String, Value>, CliError> {
    let text = match file.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(file),
    };
    let text = text.map_err(|error| CliError::file("read", file, &error))?;
    serde_json::from_str(&text).map_err(|error| {
        let reason = if error.is_io() { reason(&error.into()) } else { error.to_string() };
        CliError::new(ExitKind::BadData, format!("{} is not a JSON object: {reason}", file.display()))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_become_members_and_say_more_than_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("more.json");
        std::fs::write(&file, r#"{"timeout":"9s","headers":{"X-A":"1"}}"#).unwrap();
        let settings = Settings {
            events: vec!["a.*".into(), "b.c".into()],
            timeout: Some("5s".into()),
            retry: Some("5s, 1m".into()),
            params: vec![("domain".into(), "d".into())],
            from: Some(file),
            ..Settings::default()
        };
        let expected = json!({
            "events": ["a.*", "b.c"], "timeout": "5s", "retry": ["5s", "1m"], "params": {"domain": "d"},
            "headers": {"X-A": "1"},
        });
        assert_eq!(Value::Object(settings.members().unwrap()), expected);
        assert_eq!(schedule("carriyo-standard".into()), json!("carriyo-standard"));
    }

    #[test]
    fn a_file_that_is_no_object_is_bad_data() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("more.json");
        std::fs::write(&file, "[]").unwrap();
        let error = Settings { from: Some(file), ..Settings::default() }.members().unwrap_err();
        assert_eq!(error.kind, ExitKind::BadData);
    }
}
