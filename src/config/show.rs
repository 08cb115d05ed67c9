//! The configuration in force as text: every default applied, every secret masked. It is read by people, not loaded again.

use serde_json::Value as Json;
use toml::{Table, Value};

use super::settings::{Config, Proxy, Retention};
use super::values::{say_duration, say_size};
use crate::model::{OAuth2, OAuth2Body, RetrySchedule, Secret, SourceKind, Start, Subscription, Tls, masked_url};

/// A table of the configuration, and what is said above it.
struct Part {
    comment: Option<String>,
    table: Table,
}

/// The effective configuration as TOML.
pub fn shown(config: &Config) -> String {
    let mut text = String::new();
    for Part { comment, table } in parts(config) {
        let comment = comment.map(|comment| format!("# {comment}\n")).unwrap_or_default();
        text.push_str(&format!("{comment}{}\n", table.to_string().trim_start()));
    }
    if !config.written_dialects.is_empty() {
        let names: Vec<&str> = config.written_dialects.keys().map(String::as_str).collect();
        text.push_str(&format!("# dialects as written in the files: {}\n", names.join(", ")));
    }
    text
}

/// The same as JSON, `source` added to each subscription.
pub fn shown_json(config: &Config) -> Json {
    let mut whole = serde_json::Map::new();
    for Part { comment, table } in parts(config) {
        let Ok(Json::Object(members)) = serde_json::to_value(&table) else { continue };
        for (name, value) in members {
            match (value, whole.get_mut(&name)) {
                (Json::Array(mut items), known) => {
                    if let Some(source) = &comment {
                        items.iter_mut().for_each(|item| item["source"] = source.as_str().into());
                    }
                    match known {
                        Some(Json::Array(known)) => known.append(&mut items),
                        _ => drop(whole.insert(name, items.into())),
                    }
                }
                (value, _) => drop(whole.insert(name, value)),
            }
        }
    }
    Json::Object(whole)
}

fn parts(config: &Config) -> Vec<Part> {
    let mut parts: Vec<Part> =
        sections(config).into_iter().map(|(name, table)| part(None, name, table.into())).collect();
    let several = |name: &str, table: Table| part(None, name, vec![table].into());
    parts.extend(
        config
            .logs
            .iter()
            .map(|log| several("log", table([("dir", path(&log.dir)), ("pattern", log.pattern.as_str().into())]))),
    );
    parts.extend(config.tenants.iter().map(|tenant| {
        let mut shown = table([("id", tenant.id.as_str().into())]);
        put(&mut shown, "max_subscriptions", tenant.max_subscriptions.map(|limit| i64::from(limit).into()));
        put(&mut shown, "require_https", tenant.require_https.map(Value::from));
        several("tenant", shown)
    }));
    parts.extend(config.subscriptions.iter().map(|each| {
        let place = match (each.source.kind, &each.withheld) {
            (SourceKind::File, _) => each.source.to_string(),
            (SourceKind::Api, None) => "made over the API".to_owned(),
            (SourceKind::Api, Some(reason)) => format!("made over the API, out of force: {reason}"),
        };
        part(Some(place), "subscription", vec![subscription(each)].into())
    }));
    parts
}

fn part(comment: Option<String>, name: &str, value: Value) -> Part {
    Part { comment, table: Table::from_iter([(name.to_owned(), value)]) }
}

fn sections(config: &Config) -> [(&'static str, Table); 6] {
    let Config { spool, state, admin, delivery, network, logging, .. } = config;
    let mut state_table = table([("dir", path(&state.dir))]);
    put(&mut state_table, "reserve", state.reserve.map(|bytes| say_size(bytes).into()));
    let listen = admin.listen.map_or("off".to_owned(), |address| address.to_string());
    let mut admin_table = table([
        ("listen", listen.into()),
        ("socket", path(&admin.socket)),
        ("hosts", list(&admin.hosts)),
        ("webhook_dialect", config.webhook_dialect.as_str().into()),
        ("accept_events", admin.accept_events.into()),
    ]);
    put(&mut admin_table, "token_file", admin.token_file.as_deref().map(path));
    let pause = delivery.pause_failing_after.map_or("off".to_owned(), say_duration);
    let proxy = match &network.proxy {
        Proxy::Env => "env",
        Proxy::Off => "off",
        Proxy::Url(_) => "***",
    };
    [
        (
            "spool",
            table([
                ("dir", path(&spool.dir)),
                ("max_line", say_size(spool.max_line).into()),
                ("retention", retention(spool.retention)),
            ]),
        ),
        ("state", state_table),
        ("admin", admin_table),
        (
            "delivery",
            table([
                ("mode", delivery.mode.as_str().into()),
                ("timeout", say_duration(delivery.timeout).into()),
                ("retry", retry(&delivery.retry)),
                ("max_in_flight", i64::from(delivery.max_in_flight).into()),
                ("workers", i64::from(delivery.workers).into()),
                ("pause_failing_after", pause.into()),
                ("history", retention(delivery.history)),
            ]),
        ),
        ("network", table([("allow", list(&network.allow)), ("deny", list(&network.deny)), ("proxy", proxy.into())])),
        (
            "logging",
            table([
                ("attempts", if logging.all_attempts { "all" } else { "failures" }.into()),
                ("urls", if logging.full_urls { "full" } else { "host" }.into()),
                ("access", logging.access.into()),
            ]),
        ),
    ]
}

fn subscription(each: &Subscription) -> Table {
    let start = match each.start {
        Start::Now => "now".to_owned(),
        Start::Beginning => "beginning".to_owned(),
        Start::Since(instant) => instant.to_string(),
    };
    let mut shown = table([
        ("name", each.name.as_str().into()),
        ("tenant", each.tenant().into()),
        ("url", masked_url(&each.url).into()),
        ("dialect", each.dialect.as_str().into()),
        ("events", list(&each.filter.events)),
        ("mode", each.mode.as_str().into()),
        ("timeout", say_duration(each.timeout).into()),
        ("retry", retry(&each.retry)),
        ("max_in_flight", i64::from(each.max_in_flight).into()),
        ("supersede", each.supersede.into()),
        ("start", start.into()),
        ("active", each.active.into()),
    ]);
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    put(&mut shown, "where", text(&each.filter.condition));
    put(&mut shown, "order_by", text(&each.order_by));
    put(
        &mut shown,
        "rate_limit",
        each.rate_limit.map(|rate| format!("{}/{}", rate.count, say_duration(rate.per)).into()),
    );
    let secrets: Vec<Value> = each.secrets.iter().map(masked).collect();
    put(&mut shown, "secret", (!secrets.is_empty()).then(|| secrets.into()));
    put(&mut shown, "headers", headers(&each.headers));
    put(&mut shown, "oauth2", each.oauth2.as_ref().map(oauth2));
    put(&mut shown, "tls", tls(&each.tls));
    let params = each.params.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    put(&mut shown, "params", (!each.params.is_empty()).then(|| Value::Table(params.collect())));
    shown
}

fn oauth2(oauth2: &OAuth2) -> Value {
    let body = match oauth2.body {
        OAuth2Body::Form => "form",
        OAuth2Body::Json => "json",
    };
    let mut shown = table([
        ("token_url", masked_url(&oauth2.token_url).into()),
        ("client_id", oauth2.client_id.as_str().into()),
        ("client_secret", masked(&oauth2.client_secret)),
        ("body", body.into()),
    ]);
    put(&mut shown, "scope", oauth2.scope.as_deref().map(Value::from));
    // They may carry secrets, as tokens of the identity provider do.
    let params = oauth2.params.keys().map(|name| (name.clone(), "***".into()));
    put(&mut shown, "params", (!oauth2.params.is_empty()).then(|| Value::Table(params.collect())));
    put(&mut shown, "headers", headers(&oauth2.headers));
    shown.into()
}

fn tls(tls: &Tls) -> Option<Value> {
    let mut shown = Table::new();
    put(&mut shown, "ca_file", tls.ca_file.as_deref().map(path));
    put(&mut shown, "client_cert_file", tls.client_cert_file.as_deref().map(path));
    put(&mut shown, "client_key_file", tls.client_key_file.as_deref().map(path));
    (!shown.is_empty()).then(|| shown.into())
}

fn headers(headers: &[(String, Secret)]) -> Option<Value> {
    let shown: Table = headers.iter().map(|(name, value)| (name.clone(), masked(value))).collect();
    (!shown.is_empty()).then(|| shown.into())
}

/// Enough to tell two of them apart.
fn masked(secret: &Secret) -> Value {
    format!("*** (key {})", secret.fingerprint()).into()
}

fn retry(schedule: &RetrySchedule) -> Value {
    let waits: Vec<Value> = schedule.waits.iter().map(|wait| say_duration(*wait).into()).collect();
    table([("schedule", waits.into()), ("jitter", schedule.jitter.into())]).into()
}

fn retention(retention: Retention) -> Value {
    table([("age", say_duration(retention.age).into()), ("size", say_size(retention.size).into())]).into()
}

fn list<T: ToString>(items: &[T]) -> Value {
    items.iter().map(|item| Value::from(item.to_string())).collect::<Vec<_>>().into()
}

fn path(path: &std::path::Path) -> Value {
    path.display().to_string().into()
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn put(table: &mut Table, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        table.insert(name.to_owned(), value);
    }
}
