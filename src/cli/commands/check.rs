//! `check`: is this configuration right?

use std::path::PathBuf;

use super::super::context::Context;
use super::super::error::{CliError, ExitKind};
use super::super::glue::config::{self, CheckReport};
use super::super::human::plural;
use super::super::places;

/// Check a configuration and say everything that is wrong with it
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook check                   the configuration `run` would use
  spoolhook check /tmp/new.toml     another file, before it is put in place
  spoolhook check --show            what is in force: every default, no secret
  spoolhook check --deny-warnings   in a pipeline")]
pub struct Args {
    /// The file [default: as for `run`]
    file: Option<PathBuf>,
    /// Treat warnings as errors
    #[arg(long)]
    deny_warnings: bool,
    /// Print the effective configuration: defaults applied, secrets masked, with the webhooks made over the API
    #[arg(long)]
    show: bool,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let file = args.file.map_or_else(|| places::config_file(&context.global), Ok)?;
    let report = config::check(&file, context.now());
    let refused = report.errors > 0 || (args.deny_warnings && report.warnings > 0);
    if args.show && !refused {
        return show(&report, context);
    }
    if context.out.is_human() {
        // The diagnostics are the answer, and the answer is data.
        context.out.text(&render(&report, refused))?;
    } else {
        context.out.document(report.json.to_string().as_bytes())?;
    }
    if refused { Err(CliError::silent(ExitKind::BadConfig)) } else { Ok(()) }
}

/// What a configuration comes to. The diagnostics are talk beside it.
fn show(report: &CheckReport, context: &mut Context) -> Result<(), CliError> {
    if !report.text.is_empty() {
        context.out.say(report.text.trim_end());
    }
    match context.out.is_human() {
        true => context.out.text(&report.shown),
        false => context.out.document(report.shown_json.to_string().as_bytes()),
    }
}

fn render(report: &CheckReport, refused: bool) -> String {
    let file = &report.file;
    let mut counts = Vec::new();
    if report.errors > 0 {
        counts.push(plural(report.errors, "error"));
    }
    if report.warnings > 0 {
        counts.push(plural(report.warnings, "warning"));
    }
    if refused {
        return format!("{}{file}: {}\n", report.text, counts.join(", "));
    }
    let fragments = match report.fragments {
        0 => String::new(),
        number => format!(" + {} in conf.d", plural(number, "file")),
    };
    let mut parts = vec![plural(report.subscriptions, "subscription")];
    if report.webhooks > 0 {
        parts.push(format!("{} made over the API", plural(report.webhooks, "webhook")));
    }
    parts.extend(counts);
    format!("{}ok    {file}{fragments}   {}\n", report.text, parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_how_it_went() {
        let mut report =
            CheckReport { file: "c.toml".into(), fragments: 1, subscriptions: 1, ..CheckReport::default() };
        assert_eq!(render(&report, false), "ok    c.toml + 1 file in conf.d   1 subscription\n");
        report.webhooks = 2;
        assert!(render(&report, false).ends_with("   1 subscription, 2 webhooks made over the API\n"));
        report.errors = 5;
        report.warnings = 1;
        report.text = "error[E001]: ...\n\n".into();
        assert_eq!(render(&report, true), "error[E001]: ...\n\nc.toml: 5 errors, 1 warning\n");
    }
}
