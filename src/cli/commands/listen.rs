//! `listen`: a receiver that shows what comes, checks signatures, and misbehaves when asked to.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::select;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::context::Context;
use super::super::error::{CliError, ExitKind, reason};
use super::super::glue::receiver::{self, Behaviour, Received};
use super::super::glue::signature::Verdict;
use super::super::human::{bytes, clean, clock};
use super::super::secret;
use super::super::style::{Tone, paint};
use crate::admin::{Signal, watch_signals};
use crate::model::parse_span;

/// Receive webhooks, verify and show them
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook listen                                          on 127.0.0.1:9000
  spoolhook listen --secret-file secrets/example.key        and check signatures
  spoolhook listen 9001 --fail-rate 0.2 --delay 250ms       be slow, and fail one time in five
  spoolhook listen --status 503                             be down")]
pub struct Args {
    /// Address or port
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:9000")]
    address: String,
    /// Answer with this status
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(200..600))]
    status: u16,
    /// Wait before every answer
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = parse_span)]
    delay: Duration,
    /// Answer this share of requests 500, from 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = share)]
    fail_rate: f64,
    /// Take requests and never answer
    #[arg(long)]
    hang: bool,
    /// Check signatures with the secret in this file; may be repeated
    #[arg(long, value_name = "FILE")]
    secret_file: Vec<PathBuf>,
    /// Whose signature to expect [default: told by the headers]
    #[arg(long)]
    dialect: Option<String>,
    /// Put every body into a file of its own there
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share lies between 0 and 1, such as 0.2".to_owned()),
    }
}

/// `9001`, `:9001`, `localhost:9001` or `0.0.0.0:9001`.
fn address(text: &str) -> Result<SocketAddr, CliError> {
    let full = match text.strip_prefix(':').unwrap_or(text) {
        port if port.bytes().all(|byte| byte.is_ascii_digit()) => format!("127.0.0.1:{port}"),
        _ => text.to_owned(),
    };
    full.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(|| {
        CliError::new(ExitKind::Usage, format!("\"{text}\" is not an address")).help("write 9000, or 127.0.0.1:9000")
    })
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let signals = watch_signals()
        .map_err(|error| CliError::new(ExitKind::Io, format!("cannot watch for signals: {}", reason(&error))))?;
    let behaviour = Behaviour {
        address: address(&args.address)?,
        status: args.status,
        delay: args.delay,
        fail_rate: args.fail_rate,
        hang: args.hang,
        secrets: args.secret_file.iter().map(|file| secret::read(file)).collect::<Result<_, _>>()?,
        dialect: args.dialect,
        save: args.save,
    };
    let (manner, checks) = (manner(&behaviour), !behaviour.secrets.is_empty());
    let receiver = receiver::start(behaviour, fastrand::u64(..))?;
    context.out.say(&format!("listening on http://{}  {manner}  (^C to stop)", receiver.address()));
    if !checks {
        context.out.say("signatures are not checked: no secret was given (--secret-file FILE)");
    }
    loop {
        select! {
            recv(receiver.requests()) -> request => match request {
                Ok(request) if context.out.is_human() => context.out.text(&render(&request, &context.zone))?,
                Ok(request) => context.out.document(json_of(&request).to_string().as_bytes())?,
                Err(_) => return Err(CliError::new(ExitKind::Io, "the receiver ended")),
            },
            recv(signals) -> signal => match signal {
                Ok(Signal::Terminate) => return Ok(()),
                _ => return Err(CliError::silent(ExitKind::Interrupted)),
            },
        }
    }
}

fn manner(behaviour: &Behaviour) -> String {
    if behaviour.hang {
        return "never answering".to_owned();
    }
    let mut text = format!("answering {}", behaviour.status);
    if !behaviour.delay.is_zero() {
        text.push_str(&format!(" after {} ms", behaviour.delay.as_millis()));
    }
    if behaviour.fail_rate > 0.0 {
        text.push_str(&format!(", {} % of the time 500", (behaviour.fail_rate * 100.0).round()));
    }
    text
}

fn render(request: &Received, zone: &TimeZone) -> String {
    let verdict = match &request.signature {
        Verdict::NotChecked => String::new(),
        Verdict::Good(text) => format!("  {}", paint(Tone::Good, text)),
        Verdict::Bad(_) => format!("  {}", paint(Tone::Bad, "SIGNATURE MISMATCH")),
    };
    let answer = match request.answered {
        Some(status) if status < 300 => paint(Tone::Good, &status.to_string()),
        Some(status) => paint(Tone::Bad, &status.to_string()),
        None => paint(Tone::Warn, "no answer"),
    };
    let mut text = format!(
        "{}  {} {}  {}  {}  -> {answer}{verdict}",
        clock(zone, request.at),
        clean(&request.method),
        clean(&request.path),
        clean(request.event_type.as_deref().unwrap_or("-")),
        bytes(request.body.len() as u64),
    );
    if let Some(delivery) = &request.delivery_id {
        text.push_str(&format!("  delivery {}", clean(delivery)));
    }
    if let Verdict::Bad(reason) = &request.signature {
        text.push_str(&format!("\n          help: {}", clean(reason)));
    }
    text.push('\n');
    if !request.body.is_empty() {
        text.push_str(&format!("{}\n", clean(&String::from_utf8_lossy(&request.body))));
    }
    text
}

fn json_of(request: &Received) -> Value {
    let (signature, reason) = match &request.signature {
        Verdict::NotChecked => ("not_checked", None),
        Verdict::Good(_) => ("good", None),
        Verdict::Bad(reason) => ("bad", Some(reason)),
    };
    json!({
        "at": request.at.to_string(),
        "method": request.method,
        "path": request.path,
        "type": request.event_type,
        "delivery_id": request.delivery_id,
        "answered": request.answered,
        "signature": signature,
        "signature_reason": reason,
        "body": String::from_utf8_lossy(&request.body),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn received(signature: Verdict) -> Received {
        Received {
            at: Timestamp(1_773_309_600_000),
            method: "POST".into(),
            path: "/umbra".into(),
            event_type: Some("invoice.updated".into()),
            delivery_id: Some("0199e3c1".into()),
            body: b"{\"event\":\"invoice.updated\"}".to_vec(),
            answered: Some(200),
            signature,
        }
    }

    fn plain(request: &Received) -> String {
        anstream::adapter::strip_str(&render(request, &TimeZone::UTC)).to_string()
    }

    #[test]
    fn a_good_and_a_bad_signature() {
        let good = received(Verdict::Good("signature ok (umbra, key 3f9a)".into()));
        assert_eq!(
            plain(&good),
            "10:00:00  POST /umbra  invoice.updated  27 B  -> 200  signature ok (umbra, key 3f9a)  \
             delivery 0199e3c1\n{\"event\":\"invoice.updated\"}\n"
        );
        let bad = received(Verdict::Bad("sender used key 77c1, this file holds 3f9a".into()));
        assert!(plain(&bad).contains("SIGNATURE MISMATCH  delivery 0199e3c1\n          help: sender used key 77c1"));
    }

    #[test]
    fn addresses_may_be_short() {
        for text in ["9001", ":9001", "127.0.0.1:9001"] {
            assert_eq!(address(text).unwrap(), "127.0.0.1:9001".parse().unwrap());
        }
        assert_eq!(address("nine").unwrap_err().kind, ExitKind::Usage);
    }
}
