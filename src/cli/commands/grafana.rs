//! `grafana`: a dashboard.

use serde_json::{Value, json};

use super::super::context::Context;
use super::super::error::CliError;

/// Print a dashboard for Grafana
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook grafana > /etc/grafana/provisioning/dashboards/spoolhook.json
  spoolhook grafana | jq '.panels[].title'

It asks which Prometheus to use, and shows one instance or several, all subscriptions or some.")]
pub struct Args {}

pub fn run(_: Args, context: &mut Context) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(&dashboard()).expect("a JSON value always serialises");
    context.out.document(text.as_bytes())
}

/// Which series the variables leave.
const SELECTED: &str = r#"instance=~"$instance",subscription=~"$subscription""#;
const INSTANCE: &str = r#"instance=~"$instance""#;

/// One row of the dashboard: its title and panels of equal width.
type Row = (&'static str, Vec<Panel>);

/// One panel: title, kind, unit, and queries with their legends.
struct Panel(&'static str, &'static str, &'static str, Vec<(String, &'static str)>);

fn rate(metric: &str, by: &str) -> String {
    format!("sum by ({by}) (rate({metric}{{{SELECTED}}}[$__rate_interval]))")
}

fn quantile(share: &str, metric: &str, labels: &str) -> String {
    format!("histogram_quantile({share}, sum by (le) (rate({metric}_bucket{{{labels}}}[$__rate_interval])))")
}

fn of(metric: &str) -> String {
    format!("{metric}{{{SELECTED}}}")
}

fn here(metric: &str) -> String {
    format!("{metric}{{{INSTANCE}}}")
}

fn rows() -> Vec<Row> {
    let attempts = "spoolhook_delivery_attempts_total";
    let finished = "spoolhook_deliveries_finished_total";
    let share = format!(
        "sum(increase({finished}{{{SELECTED},outcome=\"delivered\"}}[24h])) / sum(increase({finished}{{{SELECTED}}}[24h]))"
    );
    let not_active = format!("sum(spoolhook_subscription_state{{{SELECTED},state!=\"active\"}})");
    let failed = format!("sum(increase({finished}{{{SELECTED},outcome=\"failed\"}}[1h]))");
    let one = |query: String| vec![(query, "")];
    vec![
        (
            "Health",
            vec![
                Panel("Delivered, 24 h", "stat", "percentunit", one(share)),
                Panel(
                    "Oldest waiting",
                    "stat",
                    "s",
                    one(format!("max({})", of("spoolhook_oldest_pending_event_age_seconds"))),
                ),
                Panel("Pending", "stat", "short", one(format!("sum({})", of("spoolhook_deliveries_pending")))),
                Panel("Failed, 1 h", "stat", "short", one(failed)),
                Panel("Spool behind", "stat", "bytes", one(format!("sum({})", here("spoolhook_spool_lag_bytes")))),
                Panel("Not active", "stat", "short", one(not_active)),
            ],
        ),
        (
            "Traffic",
            vec![
                Panel(
                    "Events",
                    "timeseries",
                    "ops",
                    vec![
                        (
                            format!("sum(rate({}[$__rate_interval]))", here("spoolhook_events_accepted_total")),
                            "accepted",
                        ),
                        (
                            format!("sum(rate({}[$__rate_interval]))", here("spoolhook_events_unmatched_total")),
                            "unmatched",
                        ),
                    ],
                ),
                Panel("Attempts by outcome", "timeseries", "ops", vec![(rate(attempts, "outcome"), "{{outcome}}")]),
            ],
        ),
        (
            "Latency",
            vec![
                Panel(
                    "Attempts",
                    "timeseries",
                    "s",
                    vec![
                        (quantile("0.5", "spoolhook_delivery_attempt_duration_seconds", SELECTED), "p50"),
                        (quantile("0.95", "spoolhook_delivery_attempt_duration_seconds", SELECTED), "p95"),
                        (quantile("0.99", "spoolhook_delivery_attempt_duration_seconds", SELECTED), "p99"),
                    ],
                ),
                Panel(
                    "From event to delivery",
                    "timeseries",
                    "s",
                    vec![(quantile("0.95", "spoolhook_delivery_end_to_end_seconds", SELECTED), "p95")],
                ),
                Panel(
                    "From event to first attempt",
                    "timeseries",
                    "s",
                    vec![(quantile("0.95", "spoolhook_dispatch_queue_wait_seconds", INSTANCE), "p95")],
                ),
            ],
        ),
        (
            "Subscriptions",
            vec![
                Panel(
                    "Delivered per second",
                    "timeseries",
                    "ops",
                    vec![(
                        format!(
                            "sum by (tenant, subscription) (rate({attempts}{{{SELECTED},outcome=\"success\"}}[$__rate_interval]))"
                        ),
                        "{{tenant}}/{{subscription}}",
                    )],
                ),
                Panel(
                    "Pending",
                    "timeseries",
                    "short",
                    vec![(of("spoolhook_deliveries_pending"), "{{tenant}}/{{subscription}}")],
                ),
                Panel(
                    "State",
                    "state-timeline",
                    "short",
                    vec![(
                        format!("spoolhook_subscription_state{{{SELECTED}}} == 1"),
                        "{{tenant}}/{{subscription}} {{state}}",
                    )],
                ),
            ],
        ),
        (
            "Engine",
            vec![
                Panel(
                    "Workers",
                    "timeseries",
                    "short",
                    vec![
                        (here("spoolhook_dispatch_workers_busy"), "busy"),
                        (here("spoolhook_dispatch_workers"), "all"),
                    ],
                ),
                Panel(
                    "State writes, p99",
                    "timeseries",
                    "s",
                    vec![(quantile("0.99", "spoolhook_state_write_duration_seconds", INSTANCE), "p99")],
                ),
                Panel("Disk free", "timeseries", "bytes", vec![(here("spoolhook_disk_free_bytes"), "{{dir}}")]),
                Panel("Memory", "timeseries", "bytes", vec![(here("process_resident_memory_bytes"), "resident")]),
                Panel(
                    "Log lines",
                    "timeseries",
                    "ops",
                    vec![(
                        format!("sum by (level) (rate({}[$__rate_interval]))", here("spoolhook_log_messages_total")),
                        "{{level}}",
                    )],
                ),
            ],
        ),
        (
            "Spool",
            vec![
                Panel("Files being read", "timeseries", "short", one(here("spoolhook_spool_files"))),
                Panel("Bytes behind", "timeseries", "bytes", one(here("spoolhook_spool_lag_bytes"))),
                Panel(
                    "Lines that are no events",
                    "timeseries",
                    "ops",
                    vec![(
                        format!(
                            "sum by (reason) (rate({}[$__rate_interval]))",
                            here("spoolhook_spool_rejected_lines_total")
                        ),
                        "{{reason}}",
                    )],
                ),
            ],
        ),
    ]
}

/// Columns of Grafana's grid.
const WIDTH: usize = 24;

/// The dashboard.
fn dashboard() -> Value {
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let mut panels = Vec::new();
    let mut y = 0;
    for (title, row) in rows() {
        panels.push(json!({"type": "row", "title": title, "id": panels.len() + 1, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}}));
        let height = if row.iter().all(|Panel(_, kind, ..)| *kind == "stat") { 4 } else { 8 };
        let width = WIDTH / row.len();
        for (column, Panel(title, kind, unit, queries)) in row.into_iter().enumerate() {
            let targets: Vec<Value> = queries
                .iter()
                .zip('A'..)
                .map(|((query, legend), id)| {
                    json!({"refId": id, "expr": query, "legendFormat": legend, "datasource": source})
                })
                .collect();
            panels.push(json!({"type": kind, "title": title, "id": panels.len() + 1, "datasource": source,
                "gridPos": {"x": column * width, "y": y + 1, "w": width, "h": height},
                "fieldConfig": {"defaults": {"unit": unit}, "overrides": []}, "targets": targets}));
        }
        y += height + 1;
    }
    let variable = |name: &str, query: &str, label: &str| {
        json!({"name": name, "label": label, "type": "query", "datasource": source, "refresh": 2, "multi": true,
            "includeAll": true, "current": {"text": "All", "value": "$__all"},
            "query": {"query": query, "refId": name}, "definition": query})
    };
    let reloads = "changes(spoolhook_config_last_reload_success_timestamp_seconds[$__interval]) > 0";
    json!({
        "uid": "spoolhook",
        "title": "spoolhook",
        "tags": ["spoolhook", "webhooks"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [
            {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
            variable("instance", "label_values(spoolhook_build_info, instance)", "Instance"),
            variable("subscription", "label_values(spoolhook_deliveries_pending, subscription)", "Subscription"),
        ]},
        "annotations": {"list": [
            {"name": "Configuration loaded", "datasource": source, "expr": reloads, "enable": true, "iconColor": "blue"},
        ]},
        "panels": panels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_do_not_overlap_and_ask_for_what_there_is() {
        let board = dashboard();
        let panels = board["panels"].as_array().unwrap();
        let mut cells = std::collections::BTreeSet::new();
        for panel in panels {
            let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            for (x, y) in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
                assert!(x < 24 && cells.insert((x, y)), "{panel}");
            }
            if panel["type"] != "row" {
                assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
            }
        }
    }
}
