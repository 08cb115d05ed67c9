//! The engine behind a URL, over `http`'s client.

use std::io::{self, ErrorKind};
use std::path::Path;

use url::Url;

use super::super::error::{CliError, ExitKind, reason};
use super::{EngineClient, Lines, Reply};
use crate::http::RemoteClient;
use crate::model::Secret;

/// Talks to the engine at one URL.
pub struct TcpClient(RemoteClient);

impl TcpClient {
    /// `url` is where the API lies: scheme, host and port, and a path if a proxy puts one before it.
    pub fn new(url: &str, token: Option<Secret>, ca_file: Option<&Path>) -> Result<Self, CliError> {
        check(url)?;
        let client = RemoteClient::new(url, token, ca_file);
        let unusable = |error| CliError::new(ExitKind::Io, format!("the file of --ca-file cannot be used: {error}"));
        Ok(Self(client.map_err(unusable)?))
    }
}

fn check(text: &str) -> Result<(), CliError> {
    let wrong = |why: &str| {
        CliError::new(ExitKind::Usage, format!("--url {why}")).help("such as: --url https://appliance.plant.lan:7380")
    };
    let url = Url::parse(text).map_err(|error| wrong(&format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("begins with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "holds a password, which anybody can read there; put a token into a file: --token-file FILE",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("ends before the ? or #"));
    }
    Ok(())
}

/// Whether a token would go over the network for everybody to read.
pub fn is_in_the_clear(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !is_local
}

impl EngineClient for TcpClient {
    fn call(&self, method: &str, path: &str, body: &[u8]) -> Result<Reply, CliError> {
        let body = (!body.is_empty()).then_some(body);
        match self.0.request(method, path, body) {
            Ok((status, body)) => Ok(Reply { status, body }),
            Err(error) => Err(unreachable(self.0.base(), &error)),
        }
    }

    fn stream(&self, path: &str) -> Result<Lines, CliError> {
        let broke = |error: io::Error| unreachable(self.0.base(), &error);
        let (status, mut lines) = self.0.lines(path).map_err(broke)?;
        if status == 200 {
            return Ok(Box::new(lines));
        }
        let body = lines.try_fold(String::new(), |body, line| Ok(body + &line?)).map_err(broke)?;
        Err(Reply { status, body: body.into_bytes() }.refusal())
    }
}

/// Why there is no answer from the URL, and what to do.
fn unreachable(url: &str, error: &io::Error) -> CliError {
    let why = match error.kind() {
        ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        ErrorKind::TimedOut => "it does not answer".to_owned(),
        _ => reason(error),
    };
    let is_tls = why.contains("certificate") || why.contains("UnknownIssuer");
    let error = CliError::new(ExitKind::Unreachable, format!("cannot reach spoolhook at {url}: {why}"));
    if is_tls {
        return error.help("a CA of your own?   --ca-file FILE with its certificate, in PEM");
    }
    error
        .help("is it running?      there: systemctl status spoolhook")
        .help("does it listen?     [admin] listen is 127.0.0.1:7380 unless its configuration says otherwise")
        .help("https or http?      the engine itself speaks http; a TLS proxy before it speaks https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_there_is_69_and_says_what_to_do() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let client = TcpClient::new(&format!("http://127.0.0.1:{port}/"), None, None).unwrap();
        let error = client.call("GET", "/v1/status", b"").unwrap_err();
        assert_eq!(error.kind, ExitKind::Unreachable);
        assert!(error.message.ends_with(&format!("127.0.0.1:{port}: nobody listens there")), "{}", error.message);
        assert_eq!(error.help.len(), 3);
    }

    #[test]
    fn what_is_no_url_of_an_engine_is_a_mistake_of_usage() {
        for url in ["appliance", "ftp://a/", "http://me:pw@a/", "https://a/?x=1"] {
            let error = TcpClient::new(url, None, None).map(drop).unwrap_err();
            assert_eq!(error.kind, ExitKind::Usage, "{url}");
            assert!(!error.message.contains("pw@"), "{}", error.message);
        }
        assert!(is_in_the_clear("http://appliance:7380") && !is_in_the_clear("https://appliance"));
        assert!(!is_in_the_clear("http://[::1]:7380") && !is_in_the_clear("http://localhost"));
    }
}
