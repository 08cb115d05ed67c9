//! Access tokens by OAuth2 client credentials (RFC 6749 section 4.4): fetched before a delivery is sent, kept until
//! shortly before they expire, one fetch at a time per endpoint.
//!
//! ```text
//! POST token_url                                   200 OK
//! grant_type=client_credentials&client_id=..  ->   {"access_token": "..", "expires_in": 3600}
//! ```
//!
//! After a failed fetch nobody asks again for a while (1 s, doubling to 60 s): a token server in trouble, or a wrong
//! client secret, must not meet a storm.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use super::classify::failure;
use super::message::is_valid_header;
use super::target::Target;
use super::{Evidence, Failure};
use crate::env::Clock;
use crate::model::{OAuth2, OAuth2Body, Outcome, Secret};

/// A token is not used in the last seconds of its life.
const MARGIN: Duration = Duration::from_secs(30);
const DEFAULT_LIFE: Duration = Duration::from_secs(5 * 60);
const MAX_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_TOKEN: usize = 8 * 1024;
/// A token that is refused earlier than this after its issue is not replaced: a new one would be refused as well.
const MIN_REPLACE_AGE: Duration = Duration::from_secs(30);
const FIRST_HOLD: Duration = Duration::from_secs(1);
const MAX_HOLD: Duration = Duration::from_secs(60);

/// An access token in force.
#[derive(Clone)]
pub(super) struct Token {
    /// The value of `Authorization`.
    pub(super) header: Secret,
    issued: Duration,
    use_until: Duration,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    fetching: bool,
    /// The last failure, until when it stands, and the hold it brought.
    failed: Option<(Failure, Duration, Duration)>,
}

impl State {
    /// The token, while it may be used.
    fn at(&self, now: Duration) -> Option<&Arc<Token>> {
        self.token.as_ref().filter(|token| now < token.use_until)
    }
}

pub(super) struct TokenSource {
    settings: OAuth2,
    target: Target,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Condvar,
}

impl TokenSource {
    pub(super) fn new(settings: OAuth2, target: Target, clock: Arc<dyn Clock>) -> Self {
        Self { settings, target, clock, state: Mutex::default(), changed: Condvar::new() }
    }

    /// A token to send with, from the cache or the token endpoint. Fails with `OauthToken`.
    pub(super) fn token(&self, timeout: Duration) -> Result<Arc<Token>, Failure> {
        let give_up = self.clock.monotonic().saturating_add(timeout);
        let mut state = self.lock();
        loop {
            let now = self.clock.monotonic();
            if let Some(token) = state.at(now) {
                return Ok(Arc::clone(token));
            }
            if let Some((failure, ..)) = state.failed.as_ref().filter(|(_, until, _)| now < *until) {
                return Err(failure.clone());
            }
            let left = give_up.saturating_sub(now);
            if left.is_zero() {
                return Err(failure(Outcome::OauthToken, "the access token did not come in time"));
            }
            if !state.fetching {
                state.fetching = true;
                drop(state);
                return self.fetch(left);
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether a token is there, so that [`token`](Self::token) takes no time.
    pub(super) fn is_ready(&self) -> bool {
        self.lock().at(self.clock.monotonic()).is_some()
    }

    /// Forgets a token that the endpoint answered with 401.
    pub(super) fn reject(&self, refused: &Arc<Token>) {
        let mut state = self.lock();
        let is_current = state.token.as_ref().is_some_and(|token| Arc::ptr_eq(token, refused));
        if is_current && self.clock.monotonic().saturating_sub(refused.issued) >= MIN_REPLACE_AGE {
            state.token = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self, timeout: Duration) -> Result<Arc<Token>, Failure> {
        let asked = self.clock.monotonic();
        let (content_type, body) = self.body();
        let own = self.settings.headers.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let headers = [("Content-Type", content_type), ("Accept", "application/json")].into_iter().chain(own);
        let evidence = self.target.post(headers, body.as_bytes(), timeout);
        let outcome = read_answer(evidence, asked).map(Arc::new);
        let mut state = self.lock();
        state.fetching = false;
        match &outcome {
            Ok(token) => {
                state.token = Some(Arc::clone(token));
                state.failed = None;
            }
            Err(failure) => {
                let hold = state.failed.take().map_or(FIRST_HOLD, |(_, _, hold)| (hold * 2).min(MAX_HOLD));
                state.failed = Some((failure.clone(), self.clock.monotonic().saturating_add(hold), hold));
            }
        }
        self.changed.notify_all();
        outcome
    }

    /// Content type and body of the token request. The client secret is left out when a header of the settings
    /// authenticates the client: RFC 6749 section 2.3 forbids two ways at once.
    fn body(&self) -> (&'static str, Zeroizing<String>) {
        let OAuth2 { client_id, client_secret, scope, params, headers, .. } = &self.settings;
        let has_login = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let mut pairs = vec![("grant_type", "client_credentials"), ("client_id", client_id)];
        if !has_login {
            pairs.push(("client_secret", client_secret.expose()));
        }
        pairs.extend(scope.as_deref().map(|scope| ("scope", scope)));
        let is_free = |name: &str| pairs.iter().all(|(taken, _)| *taken != name);
        let extra: Vec<_> =
            params.iter().map(|(k, v)| (k.as_str(), v.as_str())).filter(|(name, _)| is_free(name)).collect();
        pairs.extend(extra);
        match self.settings.body {
            OAuth2Body::Form => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                ("application/x-www-form-urlencoded", Zeroizing::new(form.extend_pairs(pairs).finish()))
            }
            OAuth2Body::Json => {
                let object: serde_json::Map<String, Value> =
                    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
                ("application/json", Zeroizing::new(Value::Object(object).to_string()))
            }
        }
    }
}

fn refused(message: impl Into<String>) -> Failure {
    failure(Outcome::OauthToken, message)
}

fn read_answer(evidence: Evidence, asked: Duration) -> Result<Token, Failure> {
    let response =
        evidence.result.map_err(|cause| refused(format!("no access token: the token endpoint: {}", cause.message)))?;
    let answer = serde_json::from_slice::<Value>(&response.body).unwrap_or_default();
    if !(200..=299).contains(&response.status) {
        let code = answer["error"].as_str().filter(|code| is_error_code(code));
        let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
        return Err(refused(format!("no access token: the token endpoint answered {}{code}", response.status)));
    }
    let token = answer["access_token"].as_str().unwrap_or_default();
    let header = format!("Bearer {token}");
    if token.is_empty() || token.len() > MAX_TOKEN || token.contains(' ') || !is_valid_header("Authorization", &header)
    {
        return Err(refused("no access token: the token endpoint's answer holds no usable access_token"));
    }
    let life = lifetime(&answer["expires_in"]);
    let use_until = asked.saturating_add(life.saturating_sub(MARGIN.min(life / 2)));
    Ok(Token { header: Secret::new(header), issued: asked, use_until })
}

/// RFC 6749 section 5.2 lets an error code be printable ASCII; ours is shown, so it must look like one.
fn is_error_code(code: &str) -> bool {
    !code.is_empty() && code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Seconds as a number or a string; five minutes when absent or senseless, a day at most.
fn lifetime(expires_in: &Value) -> Duration {
    let seconds = expires_in.as_f64().or_else(|| expires_in.as_str().and_then(|text| text.parse().ok()));
    match seconds {
        Some(seconds) if seconds >= 1.0 => Duration::try_from_secs_f64(seconds).unwrap_or(MAX_LIFE).min(MAX_LIFE),
        _ => DEFAULT_LIFE,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lifetimes_are_clamped() {
        for (value, seconds) in [
            (json!(3600), 3600),
            (json!("3600"), 3600),
            (json!(0), 300),
            (json!(-1), 300),
            (json!(1e12), 86_400),
            (json!(1e300), 86_400),
            (json!(null), 300),
            (json!("soon"), 300),
        ] {
            assert_eq!(lifetime(&value), Duration::from_secs(seconds), "{value}");
        }
    }

    fn read_body(status: u16, body: &str) -> Result<Token, Failure> {
        let response = super::super::Response { status, headers: Vec::new(), body: body.into() };
        let evidence = Evidence { result: Ok(response), request_bytes: 1, remote: None, elapsed: Duration::ZERO };
        read_answer(evidence, Duration::ZERO)
    }

    #[test]
    fn unusable_answers_are_refused_without_showing_them() {
        for body in
            ["<html>", "{}", r#"{"access_token":"a\r\nX: 1"}"#, r#"{"access_token":"a b"}"#, r#"{"access_token":1}"#]
        {
            let error = read_body(200, body).err().unwrap();
            assert_eq!(error.outcome, Outcome::OauthToken);
        }
        let error = read_body(401, r#"{"error":"invalid_client","error_description":"s3cret"}"#).err().unwrap();
        assert_eq!(error.message, "no access token: the token endpoint answered 401 (invalid_client)");
        let error = read_body(500, r#"{"error":"<script>"}"#).err().unwrap();
        assert_eq!(error.message, "no access token: the token endpoint answered 500");
    }

    #[test]
    fn tokens_are_retired_before_they_expire() {
        let long = read_body(200, r#"{"access_token":"t","expires_in":3600}"#).ok().unwrap();
        assert_eq!((long.header.expose(), long.use_until), ("Bearer t", Duration::from_secs(3570)));
        let short = read_body(200, r#"{"access_token":"t","expires_in":20}"#).ok().unwrap();
        assert_eq!(short.use_until, Duration::from_secs(10));
    }
}
