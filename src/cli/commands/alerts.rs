//! `alerts`: rules for Prometheus.

use super::super::context::Context;
use super::super::error::CliError;

/// Print alerting rules for Prometheus
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook alerts > /etc/prometheus/rules/spoolhook.yml
  spoolhook alerts | promtool check rules /dev/stdin

The rules name the job \"spoolhook\": scrape_configs: [{job_name: spoolhook, static_configs: [{targets: ['host:7380']}]}]")]
pub struct Args {}

/// The rules, as they are printed.
pub const RULES: &str = include_str!("../assets/alerts.yml");

pub fn run(_: Args, context: &mut Context) -> Result<(), CliError> {
    context.out.bytes(RULES.as_bytes())
}
