//! `sign`: the headers a sender would add to a body.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::super::context::Context;
use super::super::error::CliError;
use super::super::glue::signature::{self, Message};
use super::super::secret;
use super::verify::body;
use crate::model::Timestamp;

/// Sign a body as a dialect does, and print the headers
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook sign --dialect umbra --secret-file key < body.json
  spoolhook sign --dialect standard --secret-file key --id msg_1 -d @body.json")]
pub struct Args {
    /// Whose signature
    #[arg(long, default_value = "standard")]
    dialect: String,
    /// The secret, in a file; may be repeated, newest first
    #[arg(long, value_name = "FILE", required = true)]
    secret_file: Vec<PathBuf>,
    /// Delivery or message id, where the dialect signs it
    #[arg(long, default_value = "")]
    id: String,
    /// When it is signed, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    time: Option<Timestamp>,
    /// The body; @FILE reads a file, - standard input
    #[arg(short, long, value_name = "BODY", default_value = "-")]
    data: String,
}

fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "not an RFC 3339 instant such as 2026-03-12T10:00:00Z".to_owned())
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let message = Message {
        secrets: args.secret_file.iter().map(|file| secret::read(file)).collect::<Result<_, _>>()?,
        id: args.id,
        at: args.time.unwrap_or_else(|| context.now()),
        body: body(&args.data)?,
    };
    let headers = signature::sign(&args.dialect, &message)?;
    if context.out.is_human() {
        return context.out.text(&headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>());
    }
    let object: Map<String, Value> = headers.into_iter().map(|(name, value)| (name, value.into())).collect();
    context.out.document(Value::Object(object).to_string().as_bytes())
}
