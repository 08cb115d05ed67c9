//! The settings of a subscription as they may be shown.

use sha2::{Digest, Sha256};

use crate::admin::api::{OAuth2Shown, WebhookSettings};
use crate::config::{Config, say_duration};
use crate::model::{Secret, SourceKind, Subscription, hex};

/// Everything that is set, without what is secret.
pub fn settings(config: &Config, subscription: &Subscription) -> WebhookSettings {
    let (tenant, name) = (subscription.tenant(), subscription.name.as_str());
    let is_api = subscription.source.kind == SourceKind::Api;
    let oauth2 = subscription.oauth2.as_ref().map(|oauth2| OAuth2Shown {
        client_id: oauth2.client_id.clone(),
        scope: oauth2.scope.clone(),
        client_secret_fingerprint: oauth2.client_secret.fingerprint(),
    });
    WebhookSettings {
        version: version(config, subscription),
        secret_fingerprints: subscription.secrets.iter().map(Secret::fingerprint).collect(),
        secret_overlap_until: config.webhooks.overlap_until(tenant, name).filter(|_| is_api),
        headers: subscription.headers.iter().map(|(name, value)| (name.clone(), value.fingerprint())).collect(),
        oauth2,
        timeout: say_duration(subscription.timeout),
        retry: subscription.retry.waits.iter().map(|wait| say_duration(*wait)).collect(),
        max_in_flight: subscription.max_in_flight,
        rate_limit: subscription.rate_limit.map(|rate| format!("{}/{}", rate.count, say_duration(rate.per))),
        order_by: subscription.order_by.clone(),
        supersede: subscription.supersede,
        params: subscription.params.clone(),
    }
}

/// Changes whenever a setting does. Of a file's subscription the place is part of it, secrets are by their fingerprints.
pub fn version(config: &Config, subscription: &Subscription) -> String {
    let of_api = (subscription.source.kind == SourceKind::Api)
        .then(|| config.webhooks.version(subscription.tenant(), &subscription.name));
    of_api.flatten().unwrap_or_else(|| {
        let secrets: Vec<String> = subscription.secrets.iter().map(Secret::fingerprint).collect();
        let headers = subscription.headers.iter().map(|(_, value)| value.fingerprint()).collect::<Vec<_>>();
        let text = format!("{subscription:?}\n{}\n{secrets:?}{headers:?}", subscription.url);
        hex(&Sha256::digest(text.as_bytes())[..8])
    })
}
