//! `openapi`: the API as a document.

use super::super::context::Context;
use super::super::error::CliError;
use crate::admin::openapi;

/// Print the OpenAPI 3.1 document of the HTTP API
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook openapi > openapi.json
  spoolhook openapi | jq '.paths | keys'")]
pub struct Args {}

pub fn run(_: Args, context: &mut Context) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(&openapi()).expect("a JSON value always serialises");
    context.out.document(text.as_bytes())
}
