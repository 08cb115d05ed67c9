//! HTTP over TCP to an engine elsewhere: how the command line talks to a control plane that has a URL. The token is sent as
//! `Authorization`, which no redirect is followed with, and no proxy sees it.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use ureq::http::{Method, Request};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::tls::{TlsError, certificates_in};
use crate::model::Secret;

/// How long the engine may be silent before a plain request gives up.
const SILENCE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);

/// A client for one control plane.
pub struct RemoteClient {
    agent: Agent,
    /// Without a slash at the end.
    base: String,
    token: Option<Secret>,
}

impl RemoteClient {
    /// `base` is an http or https URL. With `ca_file` the engine's certificate must lead to one of those in it, otherwise to one
    /// of Mozilla's.
    pub fn new(base: &str, token: Option<Secret>, ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let roots = match ca_file {
            None => RootCerts::WebPki,
            Some(file) => {
                let found = certificates_in(file)?;
                let found: Vec<_> = found.iter().map(|each| Certificate::from_der(each.as_ref()).to_owned()).collect();
                RootCerts::new_with_certs(&found)
            }
        };
        let config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .timeout_await_100(Some(Duration::ZERO))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .user_agent(concat!("spoolhook/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent(), base: base.trim_end_matches('/').to_owned(), token })
    }

    /// As it was given.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request (`target` is path and query, `body` is JSON) and reads the whole answer: status and body. 30 s of silence
    /// is `TimedOut`.
    pub fn request(&self, method: &str, target: &str, body: Option<&[u8]>) -> io::Result<(u16, Vec<u8>)> {
        let (status, answer) = self.call(method, target, body, Some(SILENCE))?;
        let mut bytes = Vec::new();
        answer.into_reader().read_to_end(&mut bytes)?;
        Ok((status, bytes))
    }

    /// Sends a GET whose answer is a stream, and yields its lines as they come, for as long as they come.
    pub fn lines(&self, target: &str) -> io::Result<(u16, impl Iterator<Item = io::Result<String>> + use<>)> {
        let (status, answer) = self.call("GET", target, None, None)?;
        Ok((status, BufReader::new(answer.into_reader()).lines()))
    }

    fn call(
        &self,
        method: &str,
        target: &str,
        body: Option<&[u8]>,
        silence: Option<Duration>,
    ) -> io::Result<(u16, Body)> {
        let method = Method::from_bytes(method.as_bytes()).map_err(io::Error::other)?;
        let needs_length = matches!(method, Method::POST | Method::PUT | Method::PATCH);
        let mut builder = Request::builder().method(method).uri(format!("{}{target}", self.base));
        if let Some(token) = &self.token {
            builder = builder.header("Authorization", format!("Bearer {}", token.expose()));
        }
        let response = match body {
            None if needs_length => self.run(builder.body(&[] as &[u8]).map_err(io::Error::other)?, silence),
            None => self.run(builder.body(()).map_err(io::Error::other)?, silence),
            Some(bytes) => {
                let json = builder.header("Content-Type", "application/json");
                self.run(json.body(bytes).map_err(io::Error::other)?, silence)
            }
        };
        let response = response.map_err(plain)?;
        Ok((response.status().as_u16(), response.into_body()))
    }

    fn run<B: ureq::AsSendBody>(
        &self,
        request: Request<B>,
        silence: Option<Duration>,
    ) -> Result<ureq::http::Response<Body>, ureq::Error> {
        let request = self.agent.configure_request(request).timeout_recv_response(silence).timeout_per_read(silence);
        self.agent.run(request.build())
    }
}

/// The kinds that people are told different remedies for, as kinds.
fn plain(error: ureq::Error) -> io::Error {
    match error {
        ureq::Error::Timeout(_) => io::Error::from(io::ErrorKind::TimedOut),
        ureq::Error::HostNotFound => io::Error::new(io::ErrorKind::NotFound, "this name has no address"),
        other => other.into_io(),
    }
}
