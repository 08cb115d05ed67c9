//! A subscription made ready to send: its dialect bound to its settings, its endpoint resolved.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::config::{Config, NetworkConfig, Proxy, SubscriptionKey, diff};
use crate::dispatch::worker;
use crate::env::Clock;
use crate::http::{Endpoint, NetworkError, NetworkSettings, Origin, UreqTransport};
use crate::model::{Secret, SourceKind, Subscription, Timestamp};
use crate::wire::{Bound, RenderInput, Request};

/// What workers use of a subscription.
pub struct Target {
    bound: Bound,
    endpoint: Endpoint,
}

impl worker::Target for Target {
    type Endpoint = Endpoint;

    fn render(&self, input: &RenderInput<'_>) -> Request {
        self.bound.render(input)
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Target {
    /// See [`Endpoint::certificate_until`].
    pub fn certificate_until(&self) -> Option<Timestamp> {
        self.endpoint.certificate_until()
    }
}

/// Subscriptions, each with its target.
pub type Ready = Vec<(Arc<Subscription>, Arc<Target>)>;

/// The transport that `config` asks for. Nothing may be sent to our own port.
pub fn transport(config: &Config, clock: Arc<dyn Clock>) -> Result<UreqTransport, NetworkError> {
    let NetworkConfig { allow, deny, proxy } = &config.network;
    let settings = NetworkSettings {
        allow: allow.iter().map(ToString::to_string).collect(),
        deny: deny.iter().map(ToString::to_string).collect(),
        proxy: match proxy {
            Proxy::Env => Secret::new("env"),
            Proxy::Off => Secret::new("none"),
            Proxy::Url(url) => url.clone(),
        },
        own_ports: config.admin.listen.iter().map(std::net::SocketAddr::port).collect(),
        ..NetworkSettings::default()
    };
    UreqTransport::new(&settings, clock)
}

/// Targets that go on under a new configuration, by tenant and name.
pub type Kept = HashMap<SubscriptionKey, (Arc<Subscription>, Arc<Target>)>;

/// Those of `ready` that are the same under `new` as under `old`. The network's settings must be the same.
pub fn unchanged(ready: &Ready, old: &Config, new: &Config) -> Kept {
    let changes = diff(old, new);
    let differ: HashSet<_> = changes.changed.into_iter().chain(changes.removed).collect();
    let keyed = ready.iter().map(|(subscription, target)| {
        ((subscription.tenant().to_owned(), subscription.name.clone()), (subscription.clone(), target.clone()))
    });
    keyed.filter(|(key, _)| !differ.contains(key)).collect()
}

/// One subscription made ready, or why it cannot be.
pub fn target(config: &Config, transport: &UreqTransport, subscription: &Subscription) -> Result<Target, String> {
    let dialect = config.dialects.get(&subscription.dialect);
    let dialect = dialect.ok_or_else(|| format!("there is no dialect \"{}\"", subscription.dialect))?;
    let bound = dialect.bind(subscription).map_err(|error| error.to_string())?;
    let origin = match subscription.source.kind {
        SourceKind::File => Origin::File,
        SourceKind::Api => Origin::Api,
    };
    let endpoint = transport.endpoint(subscription, origin).map_err(|error| error.to_string())?;
    Ok(Target { bound, endpoint })
}

/// Every configured subscription with its target, or which one cannot be made ready and why. `kept` have one already, and stay
/// the very same unless they have moved to another line.
pub fn targets(config: &Config, transport: &UreqTransport, kept: &Kept) -> Result<Ready, String> {
    let ready = |subscription: &Subscription| {
        let target = match kept.get(&(subscription.tenant().to_owned(), subscription.name.clone())) {
            Some(kept) if *kept.0 == *subscription => return Ok(kept.clone()),
            Some((_, target)) => target.clone(),
            None => Arc::new(
                target(config, transport, subscription)
                    .map_err(|reason| format!("subscription \"{}\": {reason}", subscription.name))?,
            ),
        };
        Ok((Arc::new(subscription.clone()), target))
    };
    config.subscriptions.iter().map(ready).collect()
}
