//! The tables that exist once: `[spool]`, `[state]`, `[admin]`, `[delivery]`, `[network]`; and `[[log]]`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use crate::model::{Mode, Secret};

use super::codes;
use super::dialects::Known;
use super::document::Place;
use super::endpoint;
use super::presets;
use super::reader::{Field, Table};
use super::report::Report;
use super::settings::{
    AdminConfig, DeliveryDefaults, LogConfig, LoggingConfig, NetworkConfig, Proxy, Retention, SpoolConfig, StateConfig,
};
use super::values::{NetworkEntry, network_entry};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const GIB: u64 = 1 << 30;

pub(super) const MODES: &[(&str, Mode)] = &[("at-least-once", Mode::AtLeastOnce), ("at-most-once", Mode::AtMostOnce)];
const PAUSE_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(366 * 24 * 3600);
pub(super) const TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(600);
pub(super) const IN_FLIGHT_RANGE: RangeInclusive<u32> = 1..=1024;

/// `base` is the directory of the main file, from which defaults start.
pub(super) fn spool(mut table: Table<'_>, base: &Path, report: &mut Report<'_>) -> SpoolConfig {
    let config = SpoolConfig {
        dir: table.take("dir").and_then(|field| field.path(report)).unwrap_or_else(|| base.join("spool")),
        max_line: table.take("max_line").and_then(|field| field.size(4 << 10..=64 << 20, report)).unwrap_or(1 << 20),
        retention: retention(&mut table, "retention", Retention { age: 24 * HOUR, size: GIB }, report),
    };
    table.finish(report);
    config
}

/// Reads every `[[log]]`. The same files twice would be every event twice.
pub(super) fn logs(tables: Vec<Table<'_>>, report: &mut Report<'_>) -> Vec<LogConfig> {
    let mut logs = Vec::<(LogConfig, Place<'_>)>::new();
    for table in tables {
        let at = table.at;
        let Some(config) = log(table, report) else { continue };
        if let Some((_, first)) = logs.iter().find(|(known, _)| *known == config) {
            let problem = report.problem(codes::DUPLICATE_NAME, at, "these files are read already", "given again");
            problem.also(first.spot("given first"));
        }
        logs.push((config, at));
    }
    logs.into_iter().map(|(config, _)| config).collect()
}

fn log(mut table: Table<'_>, report: &mut Report<'_>) -> Option<LogConfig> {
    let dir = table.require("dir", "\"…\"", report).and_then(|field| field.path(report));
    let pattern = table.take("pattern").map_or(Some("*.ndjson".to_owned()), |field| file_pattern(&field, report));
    table.finish(report);
    Some(LogConfig { dir: dir?, pattern: pattern? })
}

pub(super) fn state(mut table: Table<'_>, base: &Path, report: &mut Report<'_>) -> StateConfig {
    let dir = table.take("dir").and_then(|field| field.path(report)).unwrap_or_else(|| base.join("state"));
    let reserve = table.take("reserve").and_then(|field| field.size(0..=1 << 50, report));
    table.finish(report);
    StateConfig { dir, reserve }
}

/// `sun_path` of unix(7), less its NUL.
const SOCKET_PATH_MAX: usize = 107;

pub(super) fn admin(mut table: Table<'_>, state: &StateConfig, report: &mut Report<'_>) -> AdminConfig {
    let exposed = table.take("allow_plaintext").and_then(|field| field.boolean(report)).unwrap_or(false);
    let listen = match table.take("listen") {
        Some(field) => listen(&field, exposed, report),
        None => Some(SocketAddr::from(([127, 0, 0, 1], 7380))),
    };
    let socket = socket(&mut table, state, report);
    let token_file = table.take("token_file").and_then(|field| token_file(&field, report));
    let hosts = table.take("hosts").map(|field| hosts(&field, report)).unwrap_or_default();
    let accept_events = table.take("accept_events").and_then(|field| field.boolean(report)).unwrap_or(true);
    table.finish(report);
    let (token_file, token) = token_file.unzip();
    AdminConfig { listen, socket, token_file, token, hosts, accept_events }
}

/// A token travels in a header: one word of visible ASCII.
fn token_file(field: &Field<'_>, report: &mut Report<'_>) -> Option<(PathBuf, Secret)> {
    let (path, content) = report.read_secret_file(field)?;
    let token = content.bytes.trim_ascii();
    let mut refuse = |message: &str, label: &str| {
        let problem = report.problem(codes::BAD_SECRET, field.at, message, label);
        problem.help("make one: head -c 32 /dev/urandom | base64 | tr -d '\\n' > FILE");
        None
    };
    if token.is_empty() {
        return refuse("the file of `token_file` is empty", "no token in it");
    }
    match std::str::from_utf8(token) {
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Some((path, Secret::new(text))),
        _ => refuse("the file of `token_file` holds more than a token", "not one word of ASCII"),
    }
}

fn hosts(field: &Field<'_>, report: &mut Report<'_>) -> Vec<String> {
    let texts = field.texts(report).unwrap_or_default();
    let is_name = |text: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !text.is_empty() && text.bytes().all(legal)
    };
    let names = texts.into_iter().filter_map(|(item, text)| {
        if is_name(text) {
            return Some(text.to_ascii_lowercase());
        }
        let message = format!("`hosts` has an entry that is no name: {}", item.at.quote(text));
        let problem = report.problem(codes::BAD_VALUE, item.at, message, "not a host name");
        problem.help("write the name alone, without scheme and port: \"hooks.plant.lan\"");
        None
    });
    names.collect()
}

/// The dialect of webhooks made over the API that name none. The API is Umbra's, and so are its receivers.
pub(super) fn webhook_dialect(table: &mut Table<'_>, known: &Known, report: &mut Report<'_>) -> String {
    let field = table.take("webhook_dialect");
    let named = field.and_then(|field| known.find(field.text(report)?, field.at, report));
    named.map_or("umbra", |dialect| dialect.name()).to_owned()
}

fn socket(table: &mut Table<'_>, state: &StateConfig, report: &mut Report<'_>) -> PathBuf {
    let field = table.take("socket");
    let written = field.and_then(|field| field.path(report));
    let path = written.unwrap_or_else(|| state.dir.join("spoolhook.sock"));
    let length = path.as_os_str().len();
    if length > SOCKET_PATH_MAX {
        let place = field.map_or(table.at, |field| field.at);
        let message = format!("the socket's path has {length} bytes; the kernel takes {SOCKET_PATH_MAX} bytes at most");
        let problem = report.problem(codes::BAD_VALUE, place, message, place.echo(path.display().to_string()));
        problem.help("write a shorter one: socket = \"/run/spoolhook/spoolhook.sock\" in [admin]");
    }
    path
}

pub(super) fn delivery(mut table: Table<'_>, report: &mut Report<'_>) -> DeliveryDefaults {
    let mode = table.take("mode").and_then(|field| field.word("delivery mode", "a mode", MODES, report));
    let timeout = table.take("timeout").and_then(|field| field.duration(TIMEOUT_RANGE, report));
    let retry = table.take("retry").and_then(|field| presets::read(&field, report));
    let in_flight = table.take("max_in_flight").and_then(|field| field.integer(IN_FLIGHT_RANGE, report));
    let workers = table.take("workers").and_then(|field| field.integer(1..=4096, report));
    let pause_failing_after = match table.take("pause_failing_after") {
        None => Some(5 * DAY),
        Some(field) if matches!(field.value, DeValue::String(text) if text == "off") => None,
        Some(field) => field.duration(PAUSE_RANGE, report),
    };
    let history = retention(&mut table, "history", Retention { age: 30 * DAY, size: GIB }, report);
    table.finish(report);
    DeliveryDefaults {
        mode: mode.unwrap_or(Mode::AtLeastOnce),
        timeout: timeout.unwrap_or(Duration::from_secs(15)),
        retry: retry.unwrap_or_else(|| presets::preset("default").expect("the default is one of the presets")),
        max_in_flight: in_flight.unwrap_or(16),
        workers: workers.unwrap_or(64),
        pause_failing_after,
        history,
    }
}

pub(super) fn network(mut table: Table<'_>, report: &mut Report<'_>) -> NetworkConfig {
    let config = NetworkConfig {
        allow: table.take("allow").map(|field| entries(&field, report)).unwrap_or_default(),
        deny: table.take("deny").map(|field| entries(&field, report)).unwrap_or_default(),
        proxy: table.take("proxy").and_then(|field| proxy(&field, report)).unwrap_or(Proxy::Env),
    };
    table.finish(report);
    config
}

const FORMATS: &[(&str, ())] = &[("auto", ()), ("text", ()), ("json", ()), ("journal", ())];
const ATTEMPTS: &[(&str, bool)] = &[("failures", false), ("all", true)];
const URLS: &[(&str, bool)] = &[("host", false), ("full", true)];

pub(super) fn logging(mut table: Table<'_>, report: &mut Report<'_>) -> LoggingConfig {
    if let Some(field) = table.take("format") {
        field.word("log format", "a format", FORMATS, report);
    }
    let attempts = table.take("attempts").and_then(|field| field.word("choice", "a choice", ATTEMPTS, report));
    let urls = table.take("urls").and_then(|field| field.word("choice", "a choice", URLS, report));
    let access = table.take("access").and_then(|field| field.boolean(report)).unwrap_or(false);
    table.finish(report);
    LoggingConfig { all_attempts: attempts.unwrap_or(false), full_urls: urls.unwrap_or(false), access }
}

fn retention(table: &mut Table<'_>, name: &'static str, default: Retention, report: &mut Report<'_>) -> Retention {
    let Some(mut table) = table.take(name).and_then(|field| field.table(name, report)) else { return default };
    let age = table.take("age").and_then(|field| field.duration(Duration::ZERO..=3650 * DAY, report));
    let size = table.take("size").and_then(|field| field.size(0..=u64::MAX, report));
    table.finish(report);
    Retention { age: age.unwrap_or(default.age), size: size.unwrap_or(default.size) }
}

fn file_pattern(field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = field.filled(report)?;
    if text.contains(['/', '\0']) {
        let problem = report.problem(codes::BAD_VALUE, field.at, "`pattern` must be a file name", "holds a `/`");
        problem.help("put the directory into `dir`; directories below it are not searched");
        return None;
    }
    Some(text.to_owned())
}

fn listen(field: &Field<'_>, exposed: bool, report: &mut Report<'_>) -> Option<SocketAddr> {
    let text = field.text(report)?;
    if text == "off" {
        return None;
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        let message = format!("`listen` is not an address: {}", field.at.quote(text));
        let problem = report.problem(codes::BAD_VALUE, field.at, message, "expected ADDRESS:PORT");
        problem.help("write listen = \"127.0.0.1:7380\", or \"off\"");
        return None;
    };
    if !address.ip().is_loopback() && !exposed {
        let message = "the admin interface would be open to the network without TLS";
        report
            .problem(codes::EXPOSED, field.at, message, "not a loopback address")
            .help("listen on 127.0.0.1 behind a TLS proxy, or set `allow_plaintext = true` in [admin]");
        return None;
    }
    Some(address)
}

fn entries(field: &Field<'_>, report: &mut Report<'_>) -> Vec<NetworkEntry> {
    let texts = field.texts(report).unwrap_or_default();
    let entries = texts.into_iter().filter_map(|(item, text)| {
        let entry = network_entry(text);
        if entry.is_none() {
            let message = format!("`{}` has an entry that is no network: {}", field.name, item.at.quote(text));
            let problem = report.problem(codes::BAD_VALUE, item.at, message, "neither CIDR nor host:port");
            problem.help("write \"10.20.0.0/16\", \"192.168.1.7\" or \"erp.plant.lan:8443\"");
        }
        entry
    });
    entries.collect()
}

fn proxy(field: &Field<'_>, report: &mut Report<'_>) -> Option<Proxy> {
    match field.text(report)? {
        "env" => Some(Proxy::Env),
        "off" => Some(Proxy::Off),
        text => match url::Url::parse(text) {
            Ok(url) if endpoint::is_http(&url) => Some(Proxy::Url(Secret::new(url.as_str()))),
            _ => {
                let problem = report.problem(codes::BAD_URL, field.at, "`proxy` is not an http URL", "not a proxy");
                problem.help("write \"env\", \"off\" or \"http://proxy.lan:3128\"");
                None
            }
        },
    }
}
