//! What a new configuration changes in a running engine. Pure: two configurations in, a list of differences out.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::{SourceRef, Subscription};

use super::settings::Config;

/// A subscription's tenant and name.
pub type SubscriptionKey = (String, String);

/// The difference between the running configuration and a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub added: Vec<SubscriptionKey>,
    pub removed: Vec<SubscriptionKey>,
    /// The same tenant and name with another setting, secret, certificate or dialect.
    pub changed: Vec<SubscriptionKey>,
    /// Settings outside subscriptions that can be taken over while running.
    pub settings: Vec<&'static str>,
    /// Settings that are read once, at the start.
    pub needs_restart: Vec<&'static str>,
}

impl Changes {
    /// Whether the two configurations run alike.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// For people: `1 added (oms), 2 changed (bi, acme/erp)`, then what waits for a restart.
impl fmt::Display for Changes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (verb, keys) in [("added", &self.added), ("changed", &self.changed), ("removed", &self.removed)] {
            if !keys.is_empty() {
                let names = keys.iter().map(said).collect::<Vec<_>>();
                parts.push(format!("{} {verb} ({})", keys.len(), names.join(", ")));
            }
        }
        if !self.settings.is_empty() {
            parts.push(format!("settings changed: {}", self.settings.join(", ")));
        }
        if !self.needs_restart.is_empty() {
            parts.push(format!("a restart is needed for {}", self.needs_restart.join(", ")));
        }
        if parts.is_empty() {
            return out.write_str("nothing changed");
        }
        out.write_str(&parts.join("; "))
    }
}

/// Compares the running configuration with a new one.
pub fn diff(old: &Config, new: &Config) -> Changes {
    let mut changes = Changes::default();
    let before = by_key(old);
    let after = by_key(new);
    for (key, subscription) in &after {
        match before.get(key) {
            None => changes.added.push(owned(*key)),
            Some(was) if differ(was, subscription, old, new) => changes.changed.push(owned(*key)),
            Some(_) => {}
        }
    }
    changes.removed = before.keys().filter(|key| !after.contains_key(*key)).map(|key| owned(*key)).collect();
    let mut note = |differs: bool, name: &'static str, restart: bool| match (differs, restart) {
        (true, true) => changes.needs_restart.push(name),
        (true, false) => changes.settings.push(name),
        (false, _) => {}
    };
    note(old.spool.dir != new.spool.dir, "spool.dir", true);
    note(old.spool.max_line != new.spool.max_line, "spool.max_line", true);
    note(old.spool.retention != new.spool.retention, "spool.retention", false);
    note(old.logs != new.logs, "log", true);
    note(old.state != new.state, "state.dir", true);
    note(old.admin.listen != new.admin.listen, "admin.listen", true);
    note(old.admin.socket != new.admin.socket, "admin.socket", true);
    let token = |config: &Config| (config.admin.token_file.clone(), config.admin.token.clone());
    note(token(old) != token(new), "admin.token_file", false);
    note(old.admin.hosts != new.admin.hosts, "admin.hosts", false);
    note(old.admin.accept_events != new.admin.accept_events, "admin.accept_events", false);
    note(old.delivery.workers != new.delivery.workers, "delivery.workers", true);
    note(old.delivery.history != new.delivery.history, "delivery.history", false);
    note(old.network != new.network, "network", false);
    note(old.logging != new.logging, "logging", false);
    note(old.tenants != new.tenants, "tenant", false);
    note(old.webhook_dialect != new.webhook_dialect, "admin.webhook_dialect", false);
    changes
}

fn by_key(config: &Config) -> BTreeMap<(&str, &str), &Subscription> {
    config.subscriptions.iter().map(|each| ((each.tenant(), each.name.as_str()), each)).collect()
}

/// Whether two subscriptions of one name behave differently. Having moved to another line does not count.
fn differ(was: &Subscription, is: &Subscription, old: &Config, new: &Config) -> bool {
    let placeless = |subscription: &Subscription| Subscription { source: SourceRef::default(), ..subscription.clone() };
    let dialect = |config: &Config| config.written_dialects.get(&is.dialect).cloned();
    let tls_files = [&is.tls.ca_file, &is.tls.client_cert_file, &is.tls.client_key_file];
    was != is && placeless(was) != placeless(is)
        || dialect(old) != dialect(new)
        || tls_files.into_iter().flatten().any(|path| old.digests.get(path) != new.digests.get(path))
}

fn owned((tenant, name): (&str, &str)) -> SubscriptionKey {
    (tenant.to_owned(), name.to_owned())
}

fn said((tenant, name): &SubscriptionKey) -> String {
    if tenant == "default" { name.clone() } else { format!("{tenant}/{name}") }
}
