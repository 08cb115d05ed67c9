//! What a command gets to work with: flags, streams, the clock, and the engine when it asks for it.

use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;

use super::args::Global;
use super::client::{Answer, EngineClient, SocketClient, TcpClient, is_in_the_clear};
use super::error::CliError;
use super::output::{Format, Output};
use super::places;
use super::secret;
use crate::env::{Clock, SystemClock};
use crate::model::Timestamp;

/// The surroundings of one command.
pub struct Context {
    pub global: Global,
    pub out: Output,
    pub clock: Box<dyn Clock>,
    /// Times are printed in it.
    pub zone: TimeZone,
    engine: Option<Box<dyn EngineClient>>,
}

impl Context {
    /// The process's own.
    pub fn real(global: Global) -> Self {
        let out = Output::real(&global);
        Self { global, out, clock: Box::new(SystemClock::new()), zone: TimeZone::system(), engine: None }
    }

    /// A test's: fixed clock, UTC.
    #[cfg(test)]
    pub fn test(global: Global, out: Output, clock: Box<dyn Clock>) -> Self {
        Self { global, out, clock, zone: TimeZone::UTC, engine: None }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The engine at the URL that the flags name, or behind the socket that they or the configuration name.
    pub fn engine(&mut self) -> Result<&dyn EngineClient, CliError> {
        let client: Box<dyn EngineClient> = match self.engine.take() {
            Some(client) => client,
            None => self.connect()?,
        };
        Ok(&**self.engine.insert(client))
    }

    fn connect(&mut self) -> Result<Box<dyn EngineClient>, CliError> {
        let Some(url) = self.global.url.clone() else {
            return Ok(Box::new(SocketClient::new(places::socket(&self.global)?)));
        };
        let token = self.global.token_file.as_deref().map(secret::token).transpose()?;
        if let Some(file) = self.global.token_file.as_deref().filter(|file| secret::is_open_to_all(file)) {
            let file = file.display();
            self.out
                .say(&format!("warning: every user of this machine can read the token in {file}: chmod o-rwx {file}"));
        }
        let client = TcpClient::new(&url, token, self.global.ca_file.as_deref())?;
        if self.global.token_file.is_some() && is_in_the_clear(&url) {
            self.out.say("warning: the token goes over the network in the clear; put a TLS proxy before the engine");
        }
        Ok(Box::new(client))
    }

    /// The engine's answer to a question.
    pub fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<Answer<T>, CliError> {
        self.engine()?.call("GET", path, b"")?.read()
    }

    /// The engine's answer to an order.
    pub fn post<T: DeserializeOwned>(&mut self, path: &str, body: &[u8]) -> Result<Answer<T>, CliError> {
        self.engine()?.call("POST", path, body)?.read()
    }

    /// The engine's answer to taking something away.
    pub fn delete<T: DeserializeOwned>(&mut self, path: &str) -> Result<Answer<T>, CliError> {
        self.engine()?.call("DELETE", path, b"")?.read()
    }

    /// Prints an answer: the engine's own JSON, or what `render` makes of it.
    pub fn show<T>(&mut self, answer: &Answer<T>, render: impl FnOnce(&T, &View) -> String) -> Result<(), CliError> {
        match self.out.format {
            Format::Human => {
                let text = render(&answer.value, &self.view());
                self.out.text(&text)
            }
            Format::Json | Format::JsonLines => self.out.document(&answer.json),
        }
    }

    /// The same for a list; `member` holds its items.
    pub fn show_list<T>(
        &mut self,
        answer: &Answer<T>,
        member: &str,
        render: impl FnOnce(&T, &View) -> String,
    ) -> Result<(), CliError> {
        match self.out.format {
            Format::JsonLines => self.out.lines(&answer.json, member),
            _ => self.show(answer, render),
        }
    }

    pub fn view(&self) -> View {
        View { now: self.now(), zone: self.zone.clone() }
    }
}

/// What rendering depends on besides the data.
#[derive(Clone, Debug)]
pub struct View {
    pub now: Timestamp,
    pub zone: TimeZone,
}
