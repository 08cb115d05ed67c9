//! `doctor`: is everything in place that the engine depends on?

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::context::Context;
use super::super::doctor::{self, Finding, Item, Verdict};
use super::super::error::{CliError, ExitKind};
use super::super::human::{clean, plural};
use super::super::places;
use super::super::style::{Tone, paint};
use crate::admin::api::Version;
use crate::config;

/// Check the machine around the engine; 1 when something fails
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook doctor
  spoolhook doctor --bundle support.tgz   for whoever helps: no secret and no payload is in it")]
pub struct Args {
    /// Write what was found, the status and the masked configuration into a gzipped tar file
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let config = places::config_file(&context.global)?;
    let found = doctor::look(&config, context.global.token_file.as_deref(), context.now());
    let json = report(&found);
    match context.out.is_human() {
        true => context.out.text(&render(&found))?,
        false => context.out.document(json.as_bytes())?,
    }
    if let Some(path) = &args.bundle {
        bundle(path, &config, json, context)?;
    }
    match found.iter().any(|each| each.verdict == Verdict::Fail) {
        true => Err(CliError::silent(ExitKind::No)),
        false => Ok(()),
    }
}

fn report(found: &[Finding]) -> String {
    json!({"checks": found}).to_string()
}

fn render(found: &[Finding]) -> String {
    let mut text = String::new();
    for each in found {
        let word = match each.verdict {
            Verdict::Ok => paint(Tone::Good, "ok  "),
            Verdict::Warn => paint(Tone::Warn, "warn"),
            Verdict::Fail => paint(Tone::Bad, "FAIL"),
        };
        text.push_str(&format!("{word}  {:<12} {}\n", each.check, clean(&each.detail)));
        if let Some(help) = &each.help {
            text.push_str(&format!("      {:<12} help: {help}\n", ""));
        }
    }
    let count = |verdict| found.iter().filter(|each| each.verdict == verdict).count() as u64;
    match (count(Verdict::Fail), count(Verdict::Warn)) {
        (0, 0) => text.push_str("everything is in place\n"),
        (failures, warnings) => {
            text.push_str(&format!("{}, {}\n", plural(failures, "failure"), plural(warnings, "warning")));
        }
    }
    text
}

fn bundle(path: &Path, config_file: &Path, report: String, context: &mut Context) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::file("write", path, &error);
    let text = std::fs::read_to_string(config_file).map_err(|error| CliError::file("read", config_file, &error))?;
    let masked = config::masked(&text).unwrap_or_else(|| "it is not TOML, and may hold secrets\n".to_owned());
    let version = serde_json::to_vec(&Version::current()).expect("names always serialise");
    let mut items = vec![
        Item { name: "doctor.json", content: report.into_bytes() },
        Item { name: "version.json", content: version },
        Item { name: "config.toml", content: masked.into_bytes() },
    ];
    for (name, route) in [("status.json", "/v1/status"), ("metrics.txt", "/metrics")] {
        let reply = context.engine()?.call("GET", route, b"");
        let content = match reply {
            Ok(reply) if reply.status == 200 && name == "status.json" => without_urls(&reply.body),
            Ok(reply) => reply.body,
            Err(error) => error.message.into_bytes(),
        };
        items.push(Item { name, content });
    }
    let at_s = u64::try_from(context.now().as_secs()).unwrap_or(0);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    doctor::write(&mut file, &items, at_s).and_then(|()| file.flush()).map_err(failed)?;
    context.out.say(&format!("wrote {}: look into it before you pass it on", path.display()));
    Ok(())
}

/// An endpoint's URL may carry a token.
fn without_urls(status: &[u8]) -> Vec<u8> {
    let Ok(mut status) = serde_json::from_slice::<serde_json::Value>(status) else { return Vec::new() };
    for hook in status["subscriptions"].as_array_mut().into_iter().flatten() {
        let host = hook["url"].as_str().and_then(|url| Some(url::Url::parse(url).ok()?.host_str()?.to_owned()));
        hook["url"] = host.into();
    }
    status.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_names_hosts_and_nothing_behind_them() {
        let status = br#"{"subscriptions":[{"url":"https://erp.example/hooks?token=t0ps3cret"}]}"#;
        let shown = String::from_utf8(without_urls(status)).unwrap();
        assert_eq!(shown, r#"{"subscriptions":[{"url":"erp.example"}]}"#);
    }
}
