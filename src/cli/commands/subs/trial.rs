//! `subs test` and `subs rotate-secret`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::super::context::Context;
use super::super::super::error::{CliError, ExitKind};
use super::super::super::human::clean;
use super::super::super::secret;
use super::super::super::style::{Tone, paint};
use super::path;
use crate::admin::api::{WebhookRotated, WebhookTested};
use crate::model::Outcome;

/// Arguments of `subs test`
#[derive(Debug, Args)]
pub struct TestArgs {
    /// NAME, TENANT/NAME or number
    name: String,
    /// The event's type [default: webhook.test]
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// The event's data, as JSON
    #[arg(short, long, value_name = "JSON")]
    data: Option<String>,
}

/// Arguments of `subs rotate-secret`
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// NAME, TENANT/NAME or number
    name: String,
    /// How long the old secret signs as well
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    overlap: String,
    /// The new secret, in a file (- is standard input) [default: made, and shown once]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// Exits 1 when the receiver did not take it.
pub fn test(args: TestArgs, context: &mut Context) -> Result<(), CliError> {
    let mut event = serde_json::Map::new();
    if let Some(event_type) = args.event_type {
        event.insert("type".to_owned(), event_type.into());
    }
    if let Some(data) = &args.data {
        let data = serde_json::from_str(data)
            .map_err(|error| CliError::new(ExitKind::BadData, format!("the data is not JSON: {error}")))?;
        event.insert("data".to_owned(), data);
    }
    let body = serde_json::Value::Object(event).to_string();
    let answer = context.post::<WebhookTested>(&format!("{}/test", path(&args.name)), body.as_bytes())?;
    context.show(&answer, |tested, _| {
        let tone = if tested.outcome == Outcome::Success { Tone::Good } else { Tone::Bad };
        let mut text = format!(
            "{}  {}  {} ms  {} bytes\n{}\n",
            paint(tone, tested.outcome.as_str()),
            tested.event_type,
            tested.duration_ms,
            tested.request_bytes,
            clean(&tested.message)
        );
        for (name, value) in &tested.response_headers {
            text.push_str(&format!("{}: {}\n", clean(name), clean(value)));
        }
        if !tested.response_body.is_empty() {
            text.push_str(&format!("\n{}\n", clean(&tested.response_body)));
        }
        text
    })?;
    match answer.value.outcome {
        Outcome::Success => Ok(()),
        _ => Err(CliError::silent(ExitKind::No)),
    }
}

pub fn rotate(args: RotateArgs, context: &mut Context) -> Result<(), CliError> {
    let mut body = json!({ "overlap": args.overlap });
    if let Some(file) = &args.secret_file {
        body["secret"] = secret::read(file)?.expose().into();
    }
    let target = format!("{}/secret/rotate", path(&args.name));
    let answer = context.post::<WebhookRotated>(&target, body.to_string().as_bytes())?;
    context.show(&answer, |rotated, _| {
        let mut text = format!("{}\n", clean(&rotated.message));
        if let Some(secret) = rotated.secret.as_ref().filter(|_| args.secret_file.is_none()) {
            text.push_str(&format!(
                "secret  {}\n        shown this once: the receiver checks with it\n",
                secret.expose()
            ));
        }
        text
    })
}
