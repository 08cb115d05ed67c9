//! Errors become outcomes: what failed, in which phase, and one sentence for a person. No sentence holds a path, a query
//! or a header.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use rustls::{AlertDescription, CertificateError};

use super::Failure;
use super::exchange::{self, Phase};
use crate::model::Outcome;

pub(super) fn failure(outcome: Outcome, message: impl Into<String>) -> Failure {
    Failure { outcome, message: message.into() }
}

/// A failure on its way through ureq, which hands foreign errors back untouched.
#[derive(Debug)]
pub(super) struct Stop(Failure);

impl Stop {
    pub(super) fn because(failure: Failure) -> ureq::Error {
        ureq::Error::Other(Box::new(Self(failure)))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.message)
    }
}

impl std::error::Error for Stop {}

/// What ureq's error means. Errors of sockets and TLS arrive as `Stop`; the rest is HTTP itself.
pub(super) fn of_ureq(error: ureq::Error) -> Failure {
    match error {
        ureq::Error::Other(other) => match other.downcast::<Stop>() {
            Ok(stop) => stop.0,
            Err(other) => failure(Outcome::InvalidResponse, format!("the request failed: {other}")),
        },
        ureq::Error::LargeResponseHeader(_, limit) => {
            failure(Outcome::TooLarge, format!("the response head is larger than {} KiB", limit / 1024))
        }
        ureq::Error::Io(error) => stream_failure(&error),
        ureq::Error::Protocol(error) => {
            let text = error.to_string();
            // ureq-proto is not a dependency of ours, so its variant can only be told by its text.
            if text.contains("too many headers") {
                failure(Outcome::TooLarge, "the response has too many headers")
            } else {
                failure(Outcome::InvalidResponse, format!("the answer is not HTTP ({text})"))
            }
        }
        ureq::Error::Http(_) => failure(Outcome::InvalidResponse, "the request has a header that cannot be sent"),
        other => failure(Outcome::InvalidResponse, format!("the request failed: {other}")),
    }
}

/// An error on an established stream: handshake, request or response.
pub(super) fn stream_failure(error: &io::Error) -> Failure {
    let phase = exchange::phase();
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls_failure(tls);
    }
    match (error.kind(), phase) {
        (ErrorKind::TimedOut, Phase::Securing) => {
            failure(Outcome::TimeoutConnect, "the TLS handshake was not finished in time")
        }
        (ErrorKind::TimedOut, Phase::Sending) => {
            failure(Outcome::TimeoutResponse, "the endpoint did not take the whole request in time")
        }
        (ErrorKind::TimedOut, _) => failure(Outcome::TimeoutResponse, "no complete answer came in time"),
        (_, Phase::Securing) => failure(Outcome::Reset, "the connection was closed during the TLS handshake"),
        (ErrorKind::UnexpectedEof, _) => failure(Outcome::Reset, "the connection was closed before an answer came"),
        (_, Phase::Sending) => failure(Outcome::Reset, format!("the connection broke while sending: {error}")),
        _ => failure(Outcome::Reset, format!("the connection broke before an answer came: {error}")),
    }
}

/// A TCP connection that did not come about.
pub(super) fn connect_failure(error: &io::Error, address: SocketAddr) -> Failure {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            failure(Outcome::TimeoutConnect, format!("{address} did not answer in time"))
        }
        ErrorKind::ConnectionRefused => failure(Outcome::Refused, format!("{address} refused the connection")),
        ErrorKind::ConnectionReset => failure(Outcome::Reset, format!("{address} reset the connection")),
        _ => failure(Outcome::Refused, format!("no connection to {address}: {error}")),
    }
}

/// A TLS session that did not come about, or broke.
pub(super) fn tls_failure(error: &rustls::Error) -> Failure {
    use CertificateError as Cert;
    match error {
        rustls::Error::InvalidCertificate(Cert::UnknownIssuer) => {
            failure(Outcome::TlsUnknownCa, "the certificate is signed by a CA we do not know (tls.ca_file adds one)")
        }
        rustls::Error::InvalidCertificate(Cert::Expired | Cert::ExpiredContext { .. }) => {
            failure(Outcome::TlsExpired, "the certificate has expired")
        }
        rustls::Error::InvalidCertificate(Cert::NotValidYet | Cert::NotValidYetContext { .. }) => {
            failure(Outcome::TlsExpired, "the certificate is not valid yet (or our clock is behind)")
        }
        rustls::Error::InvalidCertificate(Cert::NotValidForName | Cert::NotValidForNameContext { .. }) => {
            failure(Outcome::TlsName, "the certificate is for another host name")
        }
        rustls::Error::InvalidCertificate(other) => {
            failure(Outcome::TlsOther, format!("the certificate is not acceptable: {other}"))
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            failure(Outcome::TlsOther, "the endpoint wants a client certificate (tls.client_cert_file)")
        }
        rustls::Error::AlertReceived(alert) => {
            failure(Outcome::TlsOther, format!("the endpoint ended TLS with the alert {alert:?}"))
        }
        rustls::Error::InvalidMessage(_) => failure(Outcome::TlsOther, "the endpoint does not speak TLS on this port"),
        other => failure(Outcome::TlsOther, format!("TLS failed: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_errors_have_their_own_outcomes() {
        let check = |error: CertificateError, outcome| {
            assert_eq!(tls_failure(&rustls::Error::InvalidCertificate(error)).outcome, outcome);
        };
        check(CertificateError::UnknownIssuer, Outcome::TlsUnknownCa);
        check(CertificateError::Expired, Outcome::TlsExpired);
        check(CertificateError::NotValidYet, Outcome::TlsExpired);
        check(CertificateError::NotValidForName, Outcome::TlsName);
        check(CertificateError::BadSignature, Outcome::TlsOther);
    }
}
