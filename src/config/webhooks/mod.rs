//! Webhooks made over the API. They live in a document of their own under the state directory, written by the engine in the
//! form of `[[subscription]]`, and are judged by the same code as those of the files, one at a time:
//!
//! ```text
//! request (JSON) --members.rs--> members --block.rs--> TOML --read.rs--> Subscription, or faults with JSON pointers
//!                                            \--document.rs--> <state>/webhooks.toml, read back at every start and reload
//! ```
//! A webhook that the configuration no longer allows (its dialect is gone, its tenant must use https now) does not keep the
//! others from being loaded: it is kept as written, out of force, with the reason. One whose name a file took waits unseen
//! until the file lets go of it. A document that is not TOML is refused as a whole: nothing of it may be lost in silence.

mod block;
mod document;
mod members;
mod read;
mod standing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use self::block::{Block, Members};
use self::members::Given;
use self::read::{fault_of, read};
use super::codes;
use super::settings::Config;
use crate::model::{Secret, Subscription, Timestamp};
use crate::wire::generate_secret;

pub use self::document::{RequestKey, Webhooks, merge, settle, webhooks_file};
pub use self::standing::beside;

use self::document::{Written, ends, put_ends};

const URL_IN_NAME_MAX: usize = 100;
/// Secrets that sign at a time while they are rotated.
const SECRETS_MAX: usize = 5;
/// The ends of the secrets behind the first, beside them.
const OVERLAP: &str = "secret_overlap_until";

/// Who asks for a webhook: `None` administers every tenant.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    pub tenant: Option<&'a str>,
}

/// What is wrong with one member of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldFault {
    /// `#/events/1`; `#` is the request as a whole.
    pub pointer: String,
    /// As in diagnostics of the files.
    pub code: &'static str,
    pub detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Why there will be no such webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Fields(Vec<FieldFault>),
    /// The tenant has as many as it may have.
    Limit(String),
    /// The name is somebody else's.
    Taken(String),
}

/// A change that is possible: the whole configuration with it, and the webhook it is about.
#[derive(Debug)]
pub struct Draft {
    pub config: Config,
    pub subscription: Subscription,
    /// The newest secret.
    pub secret: Option<Secret>,
    pub warnings: Vec<FieldFault>,
}

/// A new webhook. `is_taken` knows the names that were ever used in a tenant, so that a derived one is new; `random` becomes
/// the secret, if the dialect signs and none is given.
///
/// # Errors
/// Everything that is wrong with it, or that it is one too many.
pub fn create(
    config: &Config,
    request: &Map<String, Value>,
    asker: Asker<'_>,
    is_taken: &dyn Fn(&str, &str) -> bool,
    random: &[u8; 24],
) -> Result<Draft, Refusal> {
    let given = Given::read(request, asker);
    let mut members = given.members.clone();
    members.retain(|_, value| !value.is_null());
    let tenant = asker.tenant.or(members.get("tenant").and_then(Value::as_str)).unwrap_or("default").to_owned();
    if members.get("tenant").is_none_or(Value::is_string) {
        members.insert("tenant".to_owned(), tenant.as_str().into());
    }
    members.entry("dialect").or_insert_with(|| config.webhook_dialect.as_str().into());
    if !members.contains_key("name") {
        members.insert("name".to_owned(), derived_name(&members, &tenant, is_taken).into());
    }
    let dialect = members.get("dialect").and_then(Value::as_str).and_then(|name| config.dialects.get(name));
    let fresh = generate_secret(random);
    if dialect.is_some_and(|dialect| dialect.check_secret(&fresh).is_ok()) {
        members.entry("secret").or_insert_with(|| fresh.expose().into());
    }
    let draft = draft(config, members, &given)?;
    let name = &draft.subscription.name;
    if config.subscription(&tenant, name).is_some() || config.webhooks.get(&tenant, name).is_some() {
        return Err(Refusal::Taken(format!("the tenant \"{tenant}\" has a webhook \"{name}\" already")));
    }
    limit(config, &draft.subscription).map_or(Ok(draft), |reason| Err(Refusal::Limit(reason)))
}

/// The webhook `tenant`/`name` with what `request` changes; what it does not name stays, `null` clears.
///
/// # Errors
/// Everything that would be wrong with it then.
pub fn change(
    config: &Config,
    (tenant, name): (&str, &str),
    request: &Map<String, Value>,
    asker: Asker<'_>,
) -> Result<Draft, Refusal> {
    let mut given = Given::read(request, asker);
    let mut members = stored(config, tenant, name)?;
    for setting in ["name", "tenant"] {
        if given.members.get(setting).is_some_and(|value| Some(value) != members.get(setting)) {
            let detail = format!("`{setting}` cannot be changed");
            given.fault(codes::BAD_VALUE, format!("#/{setting}"), detail, Some("make another webhook instead"));
            given.members.remove(setting);
        }
    }
    if given.members.contains_key("start") && given.members.get("start") != members.get("start") {
        let detail = "`start` says where a new webhook begins; this one has begun".to_owned();
        given.fault(codes::BAD_VALUE, "#/start".to_owned(), detail, Some("send what it missed again with a replay"));
        given.members.remove("start");
    }
    let is_given = |setting: &str| given.members.get(setting).is_some_and(|value| !value.is_null());
    let dropped: &[&str] = match (is_given("events"), is_given("table") || is_given("operations")) {
        (true, false) => &["table", "operations"],
        (false, true) => &["events"],
        _ => &[],
    };
    dropped.iter().for_each(|setting| drop(members.remove(*setting)));
    if given.members.contains_key("secret") {
        members.remove(OVERLAP);
    }
    for (setting, value) in &given.members {
        match value {
            Value::Null => drop(members.remove(setting)),
            value => drop(members.insert(setting.clone(), value.clone())),
        }
    }
    let draft = draft(config, members, &given)?;
    let was = config.subscription(tenant, name).map(|was| was.dialect.as_str());
    match was {
        Some(was) if was != draft.subscription.dialect => {
            limit(config, &draft.subscription).map_or(Ok(draft), |reason| Err(Refusal::Limit(reason)))
        }
        _ => Ok(draft),
    }
}

/// The webhook with a new secret: `secret`, or one made of `random`. Where the dialect can sign with several, the old ones
/// sign as well until `until`.
///
/// # Errors
/// The dialect does not sign, or not with this secret.
pub fn rotate(
    config: &Config,
    (tenant, name): (&str, &str),
    secret: Option<&Secret>,
    until: Option<Timestamp>,
    random: &[u8; 24],
) -> Result<Draft, Refusal> {
    let mut members = stored(config, tenant, name)?;
    let mut given = Given::default();
    let fresh = secret.cloned().unwrap_or_else(|| generate_secret(random));
    let old: Vec<Value> = match members.remove("secret") {
        Some(Value::Array(items)) => items,
        other => other.into_iter().collect(),
    };
    if old.iter().any(|old| old.as_str() == Some(fresh.expose())) {
        given.fault(codes::BAD_VALUE, "#/secret".to_owned(), "this secret signs already".to_owned(), None);
    }
    let dialect = members.get("dialect").and_then(Value::as_str).and_then(|name| config.dialects.get(name));
    let before = ends(&members);
    put_ends(&mut members, &[]);
    let fresh_first = std::iter::once(Value::from(fresh.expose()));
    match until.filter(|_| !old.is_empty() && dialect.is_some_and(|dialect| dialect.signs_with_all())) {
        Some(until) => {
            // Those that were about to end still end when it was said.
            let secrets: Vec<Value> = fresh_first.chain(old).take(SECRETS_MAX).collect();
            let ends = std::iter::once(until).chain(before).take(secrets.len() - 1).collect::<Vec<_>>();
            put_ends(&mut members, &ends);
            members.insert("secret".to_owned(), secrets.into());
        }
        None => drop(members.insert("secret".to_owned(), fresh_first.collect())),
    }
    draft(config, members, &given)
}

/// What is kept of a webhook. One that is not there is the caller's mistake, and told as one.
fn stored(config: &Config, tenant: &str, name: &str) -> Result<Members, Refusal> {
    let found = config.webhooks.get(tenant, name).map(Written::members);
    found.ok_or_else(|| {
        let detail = format!("there is no webhook \"{tenant}/{name}\"");
        Refusal::Fields(vec![FieldFault { pointer: "#".to_owned(), code: codes::MISSING, detail, help: None }])
    })
}

/// Writes and reads `members`, and puts the webhook they are into a copy of `config`.
fn draft(config: &Config, members: Members, given: &Given) -> Result<Draft, Refusal> {
    let tenant = members.get("tenant").and_then(Value::as_str).unwrap_or_default().to_owned();
    let block = Block::write(&members, &|setting| given.spelled(setting));
    let path = webhooks_file(&config.state.dir);
    let mut reading = read(&block.text, &tenant, &path, config);
    let mut faults = given.faults.clone();
    let meant = |fault: &FieldFault| {
        let wanted = fault.pointer.strip_prefix("#/").map(|name| format!("did you mean `{name}`?"));
        fault.code == codes::MISSING && given.faults.iter().any(|known| known.help == wanted)
    };
    let found = reading.errors.iter().map(|problem| given.in_its_words(fault_of(problem, &block)));
    faults.extend(found.filter(|fault| !meant(fault)));
    let subscription = match reading.subscription.take() {
        Some(subscription) if faults.is_empty() => subscription,
        _ if faults.is_empty() => {
            let detail = "this cannot be a webhook".to_owned();
            faults.push(FieldFault { pointer: "#".to_owned(), code: codes::BAD_VALUE, detail, help: None });
            return Err(Refusal::Fields(faults));
        }
        _ => return Err(Refusal::Fields(faults)),
    };
    let warnings = reading.warnings.iter().map(|problem| given.in_its_words(fault_of(problem, &block))).collect();
    let written = Written::new(&subscription, &members, &block.text);
    let mut config = config.clone();
    config.put_webhook(Arc::new(written), subscription.clone(), &mut reading);
    let secret = subscription.secrets.first().cloned();
    Ok(Draft { config, subscription, secret, warnings })
}

/// The URL's host, numbered if the tenant had one of that name.
fn derived_name(members: &Members, tenant: &str, is_taken: &dyn Fn(&str, &str) -> bool) -> String {
    let url = members.get("url").and_then(Value::as_str).and_then(|url| url::Url::parse(url).ok());
    let host = url.as_ref().and_then(url::Url::host_str).filter(|host| host.len() <= URL_IN_NAME_MAX);
    let host = host.unwrap_or("webhook");
    let names = (2u64..).map(|number| format!("{host}-{number}"));
    let mut names = std::iter::once(host.to_owned()).chain(names);
    names.find(|name| !is_taken(tenant, name)).unwrap_or_default()
}

/// Why one more like `wanted` is one too many. Counts every subscription there is beside it, those of the files too.
fn limit(config: &Config, wanted: &Subscription) -> Option<String> {
    let tenant = wanted.tenant();
    let others = || config.subscriptions.iter().filter(|each| each.tenant() == tenant && each.name != wanted.name);
    let dialect = config.dialects.get(&wanted.dialect);
    if let Some(limit) = config.tenant(tenant).and_then(|tenant| tenant.max_subscriptions) {
        let is_full = others().count() as u64 >= u64::from(limit);
        return is_full.then(|| match limit {
            1 => format!("the tenant \"{tenant}\" has the one webhook that it may have"),
            _ => format!("the tenant \"{tenant}\" has the {limit} webhooks that it may have"),
        });
    }
    let limit = dialect.and_then(|dialect| dialect.defaults().max_subscriptions)?;
    let alike = others().filter(|each| each.dialect == wanted.dialect).count() as u64;
    (alike >= u64::from(limit)).then(|| {
        format!(
            "the tenant \"{tenant}\" has the {limit} webhooks of dialect \"{}\" that it may have; `max_subscriptions` \
             in a [[tenant]] with id = \"{tenant}\" in config.toml sets another limit",
            wanted.dialect
        )
    })
}
