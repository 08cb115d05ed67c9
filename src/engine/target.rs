//! A subscription made ready to send: its dialect bound to its settings, its endpoint resolved.

use std::sync::Arc;

use crate::config::Config;
use crate::dispatch::worker;
use crate::http::{Endpoint, Network};
use crate::model::Subscription;
use crate::wire::{Bound, RenderInput, Request};

/// What workers use of a subscription.
pub struct Target {
    bound: Bound,
    endpoint: Endpoint,
}

impl worker::Target for Target {
    type Endpoint = Endpoint;

    fn render(&self, input: &RenderInput<'_>) -> Result<Request, String> {
        self.bound.render(input).map_err(|error| error.to_string())
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

/// Every configured subscription with its target, or which one cannot be made ready and why.
pub fn targets(config: &Config, network: &Network) -> Result<Vec<(Arc<Subscription>, Arc<Target>)>, String> {
    config
        .subscriptions
        .iter()
        .map(|subscription| {
            let name = &subscription.name;
            let dialect = config
                .dialects
                .get(&subscription.dialect)
                .ok_or_else(|| format!("subscription \"{name}\": no dialect \"{}\"", subscription.dialect))?;
            let bound = dialect.bind(subscription).map_err(|error| format!("subscription \"{name}\": {error}"))?;
            let endpoint =
                network.endpoint(subscription).map_err(|error| format!("subscription \"{name}\": {error}"))?;
            Ok((Arc::new(subscription.clone()), Arc::new(Target { bound, endpoint })))
        })
        .collect()
}
