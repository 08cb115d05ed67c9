//! `<state>/webhooks.toml`: the webhooks made over the API, whole, as the engine keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use toml::de::DeValue;

use super::super::codes;
use super::super::document::{Document, Place, SourceText, syntax_problem};
use super::super::problems::Problems;
use super::super::reader::{Field, Table};
use super::super::report::Report;
use super::super::settings::Config;
use super::OVERLAP;
use super::block::{Block, Members, quoted};
use super::read::{Reading, read};
use crate::model::{Filter, Secret, SourceKind, SourceRef, Subscription, Timestamp, hex};

const HEAD: &str = "# Webhooks made over the API. The engine writes this file anew with every change; spoolhook subs and the API\n\
                    # are the way to change it. It holds secrets.\n";
const REMEDY: &str = "this file is the engine's own: mend the place or put back a copy; moved away, the webhooks made over \
                      the API are gone, and their secrets with them";
/// How long the answer to a request is remembered under its key.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// The file under the state directory `state`.
pub fn webhooks_file(state: &Path) -> PathBuf {
    state.join("webhooks.toml")
}

/// The webhooks made over the API, as written.
#[derive(Clone, Default)]
pub struct Webhooks {
    /// By tenant and name.
    entries: Vec<Arc<Written>>,
    requests: Vec<RequestKey>,
}

/// One webhook as written.
pub(super) struct Written {
    tenant: String,
    name: String,
    /// Its part of the file.
    block: Secret,
    /// When the older of its secrets end, newest first.
    ends: Vec<Timestamp>,
}

/// A request that made a webhook and carried an `Idempotency-Key`; digests only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Of the key and who gave it.
    pub key: String,
    pub body: String,
    /// The webhook it made.
    pub tenant: String,
    pub name: String,
    /// Four digits of the secret that was answered.
    pub fingerprint: Option<String>,
    pub at: Timestamp,
}

impl Written {
    pub(super) fn new(subscription: &Subscription, members: &Members, text: &str) -> Self {
        Self {
            tenant: subscription.tenant().to_owned(),
            name: subscription.name.clone(),
            block: Secret::new(text),
            ends: ends(members),
        }
    }

    /// Its settings.
    pub(super) fn members(&self) -> Members {
        let source = SourceText::new(PathBuf::new(), self.block.expose().to_owned());
        let (document, _) = Document::parse(0, &source);
        let first = document.root.iter().find(|(key, _)| key.get_ref() == "subscription");
        let item = first.and_then(|(_, value)| value.get_ref().as_array()?.first());
        match item.map(|item| json(item.get_ref())) {
            Some(Value::Object(members)) => members,
            _ => Members::new(),
        }
    }
}

/// When the secrets behind the first end. A single end, as older versions wrote it, is that of all.
pub(super) fn ends(members: &Members) -> Vec<Timestamp> {
    let read = |end: &Value| end.as_str().and_then(Timestamp::parse);
    match members.get(OVERLAP) {
        Some(Value::Array(ends)) => ends.iter().filter_map(read).collect(),
        Some(end) => {
            let older =
                members.get("secret").and_then(Value::as_array).map_or(0, |secrets| secrets.len().saturating_sub(1));
            read(end).into_iter().cycle().take(older).collect()
        }
        None => Vec::new(),
    }
}

/// Writes down when the secrets behind the first end.
pub(super) fn put_ends(members: &mut Members, ends: &[Timestamp]) {
    members.remove(OVERLAP);
    if !ends.is_empty() {
        members.insert(OVERLAP.to_owned(), ends.iter().map(Timestamp::to_string).collect());
    }
}

/// The first of `secrets`, and those behind it that still sign at `now`.
fn still_signing<V>(secrets: Vec<V>, ends: &[Timestamp], now: Timestamp) -> Vec<V> {
    let is_over = |at: usize| at > 0 && ends.get(at - 1).is_some_and(|end| *end <= now);
    secrets.into_iter().enumerate().filter(|(at, _)| !is_over(*at)).map(|(_, secret)| secret).collect()
}

impl Webhooks {
    fn place(&self, tenant: &str, name: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|each| (each.tenant.as_str(), each.name.as_str()).cmp(&(tenant, name)))
    }

    pub(super) fn get(&self, tenant: &str, name: &str) -> Option<&Written> {
        self.place(tenant, name).ok().map(|at| &*self.entries[at])
    }

    fn put(&mut self, written: Arc<Written>) {
        match self.place(&written.tenant, &written.name) {
            Ok(at) => self.entries[at] = written,
            Err(at) => self.entries.insert(at, written),
        }
    }

    /// Tenant and name of each, in force or not.
    pub fn names(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.entries.iter().map(|each| (each.tenant.as_str(), each.name.as_str()))
    }

    /// Whether there is a webhook of that name, in force or not.
    pub fn contains(&self, tenant: &str, name: &str) -> bool {
        self.get(tenant, name).is_some()
    }

    /// Changes whenever a setting of the webhook does.
    pub fn version(&self, tenant: &str, name: &str) -> Option<String> {
        use sha2::{Digest, Sha256};
        let written = self.get(tenant, name)?;
        let digest = Sha256::digest(written.block.expose().as_bytes());
        Some(hex(&digest[..8]))
    }

    /// When the last of the older secrets of a webhook ends.
    pub fn overlap_until(&self, tenant: &str, name: &str) -> Option<Timestamp> {
        self.get(tenant, name)?.ends.iter().max().copied()
    }

    /// The request of that key, if it was made within a day before `now`.
    pub fn request(&self, key: &str, now: Timestamp) -> Option<&RequestKey> {
        self.requests.iter().find(|request| request.key == key && now.since(request.at) < REMEMBERED)
    }

    /// Remembers a request, and forgets those of more than a day ago.
    pub fn remember(&mut self, request: RequestKey) {
        let now = request.at;
        self.requests.retain(|known| known.key != request.key && now.since(known.at) < REMEMBERED);
        self.requests.push(request);
    }

    /// The file's text.
    pub fn text(&self) -> Secret {
        let mut text = HEAD.to_owned();
        for entry in &self.entries {
            text.push('\n');
            text.push_str(entry.block.expose());
        }
        for request in &self.requests {
            let RequestKey { key, body, tenant, name, fingerprint, at } = request;
            let at = at.to_string();
            let fingerprint = fingerprint.as_deref().unwrap_or_default();
            text.push_str("\n[[request]]\n");
            for (setting, value) in
                [("key", key), ("body", body), ("tenant", tenant), ("name", name), ("at", &at)].into_iter()
            {
                text.push_str(&format!("{setting} = {}\n", quoted(value)));
            }
            text.push_str(&format!("fingerprint = {}\n", quoted(fingerprint)));
        }
        Secret::new(text)
    }
}

/// No secret.
impl fmt::Debug for Webhooks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.entries.iter().map(|entry| (&entry.tenant, &entry.name))).finish()
    }
}

impl Config {
    /// Puts a webhook in, or in the place of the one of its name.
    pub(super) fn put_webhook(&mut self, written: Arc<Written>, subscription: Subscription, reading: &mut Reading) {
        self.files.append(&mut reading.files);
        self.files.sort();
        self.files.dedup();
        self.digests.append(&mut reading.digests);
        let is_it = |each: &Subscription| each.name == written.name && each.tenant() == written.tenant;
        match self.subscriptions.iter().position(is_it) {
            Some(at) => self.subscriptions[at] = subscription,
            None => self.subscriptions.push(subscription),
        }
        self.webhooks.put(written);
    }

    /// The same without the webhook `tenant`/`name`.
    #[must_use]
    pub fn without_webhook(&self, tenant: &str, name: &str) -> Self {
        let mut config = self.clone();
        let is_api = |each: &Subscription| each.source.kind == SourceKind::Api;
        config.subscriptions.retain(|each| !(is_api(each) && each.name == name && each.tenant() == tenant));
        config.webhooks.entries.retain(|each| !(each.name == name && each.tenant == tenant));
        config
    }
}

/// `config` with the webhooks of `text`, the content of [`webhooks_file`], in the place of those it had.
///
/// # Errors
/// The file is not what the engine wrote.
pub fn merge(mut config: Config, text: Option<String>, now: Timestamp) -> Result<Config, Problems> {
    config.subscriptions.retain(|each| each.source.kind == SourceKind::File);
    config.webhooks = Webhooks::default();
    let Some(text) = text else { return Ok(config) };
    let path = webhooks_file(&config.state.dir);
    let mut report = Report::new(&|_| None);
    let source = SourceText::new(path.clone(), text);
    let (document, faults) = Document::parse(0, &source);
    for fault in faults {
        let place = Place::new(&document, fault.span);
        let mut problem = syntax_problem(place, &fault.message);
        problem.help(REMEDY);
        report.syntax(place, problem);
    }
    let mut root = Table::new("the file", Place::new(&document, 0..0), &document.root);
    let hooks = root.take("subscription").and_then(|field| field.items(&mut report)).unwrap_or_default();
    let requests = root.take("request").and_then(|field| field.items(&mut report)).unwrap_or_default();
    root.finish(&mut report);
    let mut known = BTreeMap::new();
    let hooks = hooks.iter().filter_map(|field| hook(field, &mut known, &mut report)).collect::<Vec<_>>();
    let requests = requests.iter().filter_map(|field| request(field, &mut report)).collect::<Vec<_>>();
    let verdict = report.finish(&path);
    if !verdict.problems.errors.is_empty() {
        return Err(verdict.problems);
    }
    let taken: BTreeSet<(String, String)> =
        config.subscriptions.iter().map(|each| (each.tenant().to_owned(), each.name.clone())).collect();
    for (tenant, name, members) in hooks {
        let block = Block::write(&members, &str::to_owned);
        let mut reading = read(&block.text, &tenant, &path, &config);
        let subscription = judged(&mut reading, (&tenant, &name, &members), &path, now);
        let written = Written { ends: ends(&members), block: Secret::new(block.text), tenant, name };
        config.files.append(&mut reading.files);
        config.digests.append(&mut reading.digests);
        if taken.contains(&(written.tenant.clone(), written.name.clone())) {
            let (tenant, name) = (&written.tenant, &written.name);
            tracing::warn!(tenant, subscription = name, "the webhook made over the API waits: a file took its name");
        } else {
            config.subscriptions.push(subscription);
        }
        config.webhooks.entries.push(Arc::new(written));
    }
    config.webhooks.entries.sort_by(|a, b| (&a.tenant, &a.name).cmp(&(&b.tenant, &b.name)));
    config.files.sort();
    config.files.dedup();
    config.webhooks.requests = requests;
    Ok(config)
}

/// `config` without the secrets whose overlap has ended; `None` when there are none.
pub fn settle(config: &Config, now: Timestamp) -> Option<Config> {
    let ended = config.webhooks.entries.iter().filter(|each| each.ends.iter().any(|end| *end <= now));
    let ended: Vec<_> = ended.cloned().collect();
    if ended.is_empty() {
        return None;
    }
    let mut config = config.clone();
    let path = webhooks_file(&config.state.dir);
    for written in ended {
        let mut members = written.members();
        let ends: Vec<Timestamp> = written.ends.iter().copied().filter(|end| *end > now).collect();
        put_ends(&mut members, &ends);
        if let Some(Value::Array(secrets)) = members.get_mut("secret") {
            *secrets = still_signing(std::mem::take(secrets), &written.ends, now);
        }
        let block = Block::write(&members, &str::to_owned);
        let mut reading = read(&block.text, &written.tenant, &path, &config);
        let subscription = judged(&mut reading, (&written.tenant, &written.name, &members), &path, now);
        let (tenant, name) = (written.tenant.clone(), written.name.clone());
        let is_files = config.subscription(&tenant, &name).is_some_and(|each| each.source.kind == SourceKind::File);
        let written = Arc::new(Written { tenant, name, block: Secret::new(block.text), ends });
        if is_files {
            config.webhooks.put(written);
        } else {
            config.put_webhook(written, subscription, &mut reading);
        }
    }
    Some(config)
}

/// The webhook as it can be in force at `now`: as it was read, or as a stand-in that says why not.
fn judged(reading: &mut Reading, of: (&str, &str, &Members), path: &Path, now: Timestamp) -> Subscription {
    let (tenant, name, members) = of;
    if let Some(mut subscription) = reading.subscription.take() {
        subscription.secrets = still_signing(subscription.secrets, &ends(members), now);
        return subscription;
    }
    let reasons: Vec<&str> = reading.errors.iter().map(|problem| problem.message.as_str()).collect();
    let text = |member: &str| members.get(member).and_then(Value::as_str);
    let url = text("url").filter(|url| url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")));
    let events = members.get("events").and_then(Value::as_array).into_iter().flatten();
    let events = events.filter_map(|event| Some(event.as_str()?.to_owned())).collect();
    Subscription {
        filter: Filter { tenant: tenant.to_owned(), events, condition: None },
        dialect: "cloudevents".to_owned(),
        active: false,
        source: SourceRef { kind: SourceKind::Api, file: path.to_owned(), line: 0 },
        withheld: Some(reasons.join("; ")),
        ..Subscription::new(name, url.unwrap_or("https://webhook.invalid/"))
    }
}

/// Tenant, name and settings of one `[[subscription]]`.
fn hook<'d>(
    field: &Field<'d>,
    known: &mut BTreeMap<(String, String), Place<'d>>,
    report: &mut Report<'_>,
) -> Option<(String, String, Members)> {
    let mut table = field.table("[[subscription]]", report)?;
    let mut named = |name: &'static str, report: &mut Report<'_>| {
        Some(table.require(name, "\"…\"", report)?.text(report)?.to_owned())
    };
    let (tenant, name) = (named("tenant", report)?, named("name", report)?);
    if let Some(first) = known.insert((tenant.clone(), name.clone()), field.at) {
        let problem = report.problem(codes::DUPLICATE_NAME, field.at, "this webhook is there twice", "again");
        problem.also(first.spot("first")).help(REMEDY);
    }
    match json(field.value) {
        Value::Object(members) => Some((tenant, name, members)),
        _ => None,
    }
}

fn request(field: &Field<'_>, report: &mut Report<'_>) -> Option<RequestKey> {
    let mut table = field.table("[[request]]", report)?;
    let mut texts = BTreeMap::new();
    for name in ["key", "body", "tenant", "name", "at", "fingerprint"] {
        texts.insert(name, table.require(name, "\"…\"", report)?.text(report)?.to_owned());
    }
    let mut text = |name: &str| texts.remove(name).unwrap_or_default();
    let at = Timestamp::parse(&text("at"));
    if at.is_none() {
        let problem = report.problem(codes::BAD_VALUE, field.at, "`at` is not an instant", "unreadable");
        problem.help(REMEDY);
    }
    Some(RequestKey {
        key: text("key"),
        body: text("body"),
        tenant: text("tenant"),
        name: text("name"),
        fingerprint: Some(text("fingerprint")).filter(|text| !text.is_empty()),
        at: at?,
    })
}

/// A value of TOML as JSON has it. What JSON cannot say is its text.
fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix());
            read.map_or_else(|_| number.as_str().into(), Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or_else(|_| number.as_str().into(), Value::from),
        DeValue::Boolean(answer) => (*answer).into(),
        DeValue::Datetime(instant) => instant.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            let members = table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref())));
            Value::Object(members.collect())
        }
    }
}
