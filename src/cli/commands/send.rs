//! `send`: write one event into the spool, and see what becomes of it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::never;
use serde_json::json;

use super::super::client::{Answer, segment};
use super::super::context::Context;
use super::super::error::{CliError, ExitKind};
use super::super::human::span;
use super::super::places;
use super::super::producer;
use crate::admin::api::{Accepted, EventDetail, MatchRow};
use crate::model::{DeliveryStatus, SegmentId, Timestamp, parse_span, valid_event_type};
use crate::producer::EventLine;

/// Write an event into the spool; with --url, hand it to the engine there
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook send invoice.paid -d '{\"id\":1}'
  spoolhook send salesOrder.updated -d @new.json --old @old.json --key SO000042
  jq -c .order export.json | spoolhook send order.created -d - --wait=30s")]
pub struct Args {
    /// Dotted name: entity.operation
    #[arg(value_name = "TYPE", value_parser = event_type)]
    event_type: String,
    /// The record, as JSON; @FILE reads a file, - standard input
    #[arg(short, long, value_name = "JSON", default_value = "{}")]
    data: String,
    /// The record before the change, likewise
    #[arg(long, value_name = "JSON")]
    old: Option<String>,
    /// Whose event it is
    #[arg(long)]
    tenant: Option<String>,
    /// The entity's id, for order per key
    #[arg(long)]
    key: Option<String>,
    /// Your idempotency key [default: a fresh one]
    #[arg(long, value_parser = event_id)]
    id: Option<String>,
    /// When it happened, RFC 3339 [default: when the engine sees it]
    #[arg(long, value_parser = instant)]
    time: Option<String>,
    /// The spool [default: from the configuration]
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Return only when the event would survive a power cut
    #[arg(long)]
    fsync: bool,
    /// Wait until every subscription has it, or the time is over
    #[arg(
        long,
        value_name = "TIMEOUT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "15s",
        value_parser = parse_span,
    )]
    wait: Option<Duration>,
}

fn event_type(text: &str) -> Result<String, String> {
    match valid_event_type(text) {
        true => Ok(text.to_owned()),
        false => Err("a type is dotted segments of A-Z a-z 0-9 _, at most 128 bytes: invoice.paid".to_owned()),
    }
}

fn event_id(text: &str) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte);
    match !text.is_empty() && text.len() <= 128 && text.bytes().all(legal) {
        true => Ok(text.to_owned()),
        false => Err("an id is 1 to 128 of A-Z a-z 0-9 _ : -".to_owned()),
    }
}

fn instant(text: &str) -> Result<String, String> {
    match Timestamp::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("not an RFC 3339 instant such as 2026-03-12T10:00:00Z".to_owned()),
    }
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    // An engine elsewhere has its spool there: it takes events over its API.
    let is_elsewhere = context.global.url.is_some() && args.spool.is_none();
    let spool = match is_elsewhere {
        true => None,
        false => Some(args.spool.clone().map_or_else(|| places::spool(&context.global), Ok)?),
    };
    let fresh = SegmentId::next(context.now(), None, fastrand::u64(..));
    let id = args.id.clone().unwrap_or_else(|| format!("evt_{fresh}"));
    let data = content(&args.data)?;
    let old = args.old.as_deref().map(content).transpose()?;
    let mut event = EventLine::new(&args.event_type, &data).map_err(|error| producer::not_json(&error))?.id(&id);
    if let Some(tenant) = &args.tenant {
        event = event.tenant(tenant);
    }
    if let Some(key) = &args.key {
        event = event.key(key);
    }
    if let Some(time) = &args.time {
        event = event.time(time);
    }
    if let Some(old) = &old {
        event = event.old(old).map_err(|error| producer::not_json(&error))?;
    }
    let Some(spool) = spool else {
        let answer = context.post::<Accepted>("/v1/events", event.line().as_bytes())?;
        return match args.wait {
            Some(patience) => wait(context, &id, patience),
            None => context.show(&answer, |_, _| format!("accepted {id}\n")),
        };
    };
    let file = producer::write(&spool, &format!("send-{fresh}"), &event.line(), args.fsync)?;
    match args.wait {
        Some(patience) => wait(context, &id, patience),
        None if context.out.is_human() => context.out.text(&format!("accepted {id}\n")),
        None => context.out.document(json!({"id": id, "file": file}).to_string().as_bytes()),
    }
}

/// An argument, a file after `@`, or standard input.
fn content(argument: &str) -> Result<String, CliError> {
    match argument.strip_prefix('@') {
        Some("-") => stdin(),
        Some(path) => fs::read_to_string(path).map_err(|error| CliError::file("read", Path::new(path), &error)),
        None if argument == "-" => stdin(),
        None => Ok(argument.to_owned()),
    }
}

fn stdin() -> Result<String, CliError> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| CliError::file("read", Path::new("-"), &error))?;
    Ok(text)
}

/// Asks until every match is settled. Soon at first, then four times a second. The event is written: an engine that does not
/// answer yet is waited for as well.
fn wait(context: &mut Context, id: &str, patience: Duration) -> Result<(), CliError> {
    let path = format!("/v1/events/{}", segment(id));
    let start = context.clock.monotonic();
    let mut pause = Duration::from_millis(10);
    let mut last: Option<Answer<EventDetail>> = None;
    let mut unreachable;
    loop {
        unreachable = None;
        match context.engine().and_then(|engine| engine.call("GET", &path, b"")) {
            Err(error) if error.kind == ExitKind::Unreachable => unreachable = Some(error),
            Err(error) => return Err(error),
            // Not there yet: the engine has still to read it.
            Ok(reply) if reply.status == 404 => {}
            Ok(reply) => {
                let answer = reply.read::<EventDetail>()?;
                let settled = matched(&answer.value).all(|row| !is_pending(row));
                last = Some(answer);
                if settled {
                    break;
                }
            }
        }
        let spent = context.clock.monotonic().saturating_sub(start);
        if spent >= patience {
            break;
        }
        let _ = never::<()>().recv_timeout(pause.min(patience - spent));
        pause = (pause * 2).min(Duration::from_millis(250));
    }
    let spent = context.clock.monotonic().saturating_sub(start);
    if let Some(error) = unreachable {
        let text = format!("{id} is written, but what became of it cannot be asked: {}", error.message);
        return Err(CliError::new(ExitKind::Unreachable, text)
            .help("the engine takes it in as soon as it runs; sending it again would be a second event"));
    }
    let Some(answer) = last else {
        return Err(CliError::new(ExitKind::No, format!("{id} was written, but not read within {}", span(patience)))
            .help("is this the engine's spool? see: spoolhook status, spoolhook quarantine list"));
    };
    context.show(&answer, |detail, _| render(detail, spent))?;
    match matched(&answer.value).all(|row| status(row) == Some(DeliveryStatus::Delivered)) {
        true => Ok(()),
        false => Err(CliError::silent(ExitKind::No)),
    }
}

fn matched(detail: &EventDetail) -> impl Iterator<Item = &MatchRow> {
    detail.subscriptions.iter().filter(|row| row.matched)
}

fn status(row: &MatchRow) -> Option<DeliveryStatus> {
    row.delivery.as_ref().map(|delivery| delivery.status)
}

fn is_pending(row: &MatchRow) -> bool {
    status(row).is_none_or(|status| status == DeliveryStatus::Pending)
}

fn render(detail: &EventDetail, spent: Duration) -> String {
    let mut text = format!("accepted {}\n", detail.event.id);
    for row in matched(detail) {
        let word = status(row).unwrap_or(DeliveryStatus::Pending).as_str();
        text.push_str(&format!("{word} to {} after {}", row.subscription, span(spent)));
        match &row.delivery {
            Some(delivery) if delivery.status != DeliveryStatus::Delivered => {
                text.push_str(&format!("   spoolhook deliveries show {}\n", delivery.id));
            }
            _ => text.push('\n'),
        }
    }
    if matched(detail).next().is_none() {
        text.push_str(&format!("no subscription takes it   spoolhook events show {}\n", detail.event.id));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_judged_before_anything_is_written() {
        assert!(event_type("invoice.paid").is_ok() && event_type("invoice paid").is_err());
        assert!(event_id("a:B_1-2").is_ok() && event_id("").is_err() && event_id("a b").is_err());
        assert!(instant("2026-03-12T10:00:00+01:00").is_ok() && instant("12.3.").is_err());
    }
}
