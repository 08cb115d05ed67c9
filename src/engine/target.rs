//! A subscription made ready to send: its dialect bound to its settings, its endpoint resolved.

use std::sync::Arc;

use crate::config::{Config, NetworkConfig, Proxy};
use crate::dispatch::worker;
use crate::env::Clock;
use crate::http::{Endpoint, NetworkError, NetworkSettings, Origin, UreqTransport};
use crate::model::{Secret, Subscription};
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

/// Every configured subscription with its target, or which one cannot be made ready and why.
pub fn targets(config: &Config, transport: &UreqTransport) -> Result<Ready, String> {
    let ready = |subscription: &Subscription| {
        let dialect = config
            .dialects
            .get(&subscription.dialect)
            .ok_or_else(|| format!("there is no dialect \"{}\"", subscription.dialect))?;
        let bound = dialect.bind(subscription).map_err(|error| error.to_string())?;
        let endpoint = transport.endpoint(subscription, Origin::File).map_err(|error| error.to_string())?;
        Ok::<_, String>((Arc::new(subscription.clone()), Arc::new(Target { bound, endpoint })))
    };
    let named = |subscription: &Subscription| {
        ready(subscription).map_err(|reason| format!("subscription \"{}\": {reason}", subscription.name))
    };
    config.subscriptions.iter().map(named).collect()
}
