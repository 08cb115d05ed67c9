//! One exchange at a time over the engine's socket, in plain HTTP.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::support::Scenario;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Lower case.
    pub head: String,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }
}

/// The API of one engine.
#[derive(Clone)]
pub struct Api(PathBuf);

impl Api {
    pub fn of(scenario: &Scenario) -> Self {
        Self(scenario.path("state/spoolhook.sock"))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], b"").expect("the engine answers")
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.call("POST", path, headers, body).expect("the engine answers")
    }

    /// `None` when the engine is not there, or goes away meanwhile.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
        let mut stream = UnixStream::connect(&self.0).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        let mut head = format!("{method} {path} HTTP/1.0\r\nHost: spoolhook\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some(Answer { status: head.get(9..12)?.parse().ok()?, head: head.to_lowercase(), text: body.to_owned() })
    }

    /// Pages from the oldest event on until there is no more: what they held, and the last cursor.
    pub fn all(&self, query: &str) -> (Vec<Value>, String) {
        self.pages(query, None)
    }

    /// The same, behind a cursor.
    pub fn after(&self, query: &str, cursor: &str) -> (Vec<Value>, String) {
        self.pages(query, Some(cursor.to_owned()))
    }

    fn pages(&self, query: &str, mut cursor: Option<String>) -> (Vec<Value>, String) {
        let mut found = Vec::new();
        loop {
            let after = cursor.map(|cursor| format!("&after={cursor}")).unwrap_or_default();
            let mut page = self.get(&format!("/v1/events?{query}{after}")).expect(200);
            found.append(page["data"].as_array_mut().expect("a list"));
            let next = page["next_cursor"].as_str().expect("always there").to_owned();
            if page["has_more"] == false {
                return (found, next);
            }
            cursor = Some(next);
        }
    }
}

/// The ids of events, in order.
pub fn ids(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}
