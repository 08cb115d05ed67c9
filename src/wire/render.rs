//! An event and a dialect -> the bytes of a request.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::dialect::Dialect;
use super::signature::Signer;
use super::template::{Field, Place, Root, Scope, Template, Value, Values, Word, pointer};
use super::{RenderInput, Request};
use crate::model::{Secret, Subscription, Timestamp};

/// Why a subscription cannot be served in its dialect. The event plays no part: one that was taken in can be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error("dialect `{dialect}` needs the parameter `{name}`: set it in [subscription.params]")]
    MissingParam { dialect: String, name: String },
    #[error("dialect `{dialect}` does not know the value of parameter `{name}`: use one of {one_of}")]
    BadParam { dialect: String, name: String, one_of: String },
    #[error("dialect `{dialect}` signs every request: give the subscription a secret")]
    NoSecret { dialect: String },
    #[error("dialect `{dialect}` cannot sign with secret {fingerprint}: {reason}")]
    BadSecret { dialect: String, fingerprint: String, reason: String },
    #[error("dialect `{dialect}` signs more than the id, the time and the body: only a whole event can be signed")]
    NeedsEvent { dialect: String },
}

/// A dialect made ready for one subscription: parameters settled, secrets keyed. Make it once and keep it.
pub struct Bound {
    dialect: Arc<Dialect>,
    ready: Ready,
}

impl Bound {
    /// The request of one attempt. It uses the parameters and secrets it was bound with, not those in `input`.
    pub fn render(&self, input: &RenderInput<'_>) -> Request {
        self.dialect.render_ready(&self.ready, input)
    }

    pub fn dialect(&self) -> &Arc<Dialect> {
        &self.dialect
    }
}

/// What a subscription brings to its dialect.
struct Ready {
    /// In the order of the dialect's parameters.
    params: Vec<Option<String>>,
    signers: Vec<Signer>,
}

impl Dialect {
    /// Settles what does not change from event to event.
    ///
    /// # Errors
    /// A parameter or a secret that the dialect needs and the subscription lacks, or has wrong.
    pub fn bind(self: &Arc<Self>, subscription: &Subscription) -> Result<Bound, RenderError> {
        Ok(Bound { dialect: Arc::clone(self), ready: self.ready(subscription)? })
    }

    /// Renders once. For many events of a subscription, `bind` is faster.
    ///
    /// # Errors
    /// As `bind`.
    pub fn render(&self, input: &RenderInput<'_>) -> Result<Request, RenderError> {
        Ok(self.render_ready(&self.ready(input.subscription)?, input))
    }

    /// The headers that sign `body` at `now` as the event `id`, as a sender of this dialect would write them; none when
    /// the dialect does not sign.
    ///
    /// # Errors
    /// A secret that does not fit, or a dialect that signs other fields of the event too.
    pub fn sign(
        &self,
        body: &[u8],
        id: &str,
        now: Timestamp,
        secrets: &[Secret],
    ) -> Result<Vec<(String, String)>, RenderError> {
        let Some(signature) = &self.signature else { return Ok(Vec::new()) };
        signature
            .headers(&self.signers(secrets)?, &Bare { id, now }, body)
            .ok_or_else(|| RenderError::NeedsEvent { dialect: self.name.clone() })
    }

    fn ready(&self, subscription: &Subscription) -> Result<Ready, RenderError> {
        Ok(Ready { params: self.settle(subscription)?, signers: self.signers(&subscription.secrets)? })
    }

    fn settle(&self, subscription: &Subscription) -> Result<Vec<Option<String>>, RenderError> {
        let given: &BTreeMap<String, String> = &subscription.params;
        let mut settled = Vec::with_capacity(self.params.len());
        for param in &self.params {
            let (dialect, name) = (self.name.clone(), param.name.clone());
            let value = match (given.get(&param.name), &param.default) {
                (Some(value), _) => Some(value.clone()),
                (None, Some(default)) => Some(default_text(default, subscription)),
                (None, None) if param.required => return Err(RenderError::MissingParam { dialect, name }),
                (None, None) => None,
            };
            if !param.one_of.is_empty() && value.as_ref().is_some_and(|value| !param.one_of.contains(value)) {
                return Err(RenderError::BadParam { dialect, name, one_of: param.one_of.join(", ") });
            }
            settled.push(value);
        }
        Ok(settled)
    }

    fn signers(&self, secrets: &[Secret]) -> Result<Vec<Signer>, RenderError> {
        let Some(signature) = &self.signature else { return Ok(Vec::new()) };
        if signature.required && secrets.is_empty() {
            return Err(RenderError::NoSecret { dialect: self.name.clone() });
        }
        signature.signers(secrets).map_err(|(secret, reason)| RenderError::BadSecret {
            dialect: self.name.clone(),
            fingerprint: secret.fingerprint(),
            reason,
        })
    }

    fn render_ready(&self, ready: &Ready, input: &RenderInput<'_>) -> Request {
        let values = EventValues { input, params: &ready.params };
        let shape = self.shape(input.event, &ready.params);
        let mut body = Vec::with_capacity(input.event.line.len() + 256);
        let whole = shape.body.write(&values, &mut body);
        debug_assert!(whole, "a body that may miss a value does not compile");
        let mut headers = Vec::with_capacity(shape.headers.len() + 3);
        for header in &shape.headers {
            headers.extend(header.value.text(&values).map(|value| (header.name.clone(), value)));
        }
        if let Some(signature) = &self.signature {
            let signed = signature.headers(&ready.signers, &values, &body);
            headers.extend(signed.expect("a signature over something that may be missing does not compile"));
        }
        Request { headers, body }
    }
}

fn default_text(default: &str, subscription: &Subscription) -> String {
    let scope = Scope { place: Place::Signature, params: &[], given: None };
    let template = Template::parse(default, &scope, &mut Vec::new());
    template.text(&SubscriptionValues(subscription)).expect("a default that needs an event does not compile")
}

/// The values of one attempt.
struct EventValues<'a> {
    input: &'a RenderInput<'a>,
    params: &'a [Option<String>],
}

impl Values for EventValues<'_> {
    fn value(&self, field: &Field) -> Option<Value<'_>> {
        let event = self.input.event;
        match field {
            Field::Word(word) => self.word(*word),
            Field::Param(index) => self.params[*index].as_deref().map(text),
            Field::Json(root, tokens) => {
                let json = match root {
                    Root::Data => event.data(),
                    Root::Old => event.old()?,
                    Root::Event => &event.line,
                };
                if tokens.is_empty() { Some(Value::Json(json)) } else { pointer::find(json, tokens).map(Value::Json) }
            }
            Field::Given => None,
        }
    }
}

impl EventValues<'_> {
    fn word(&self, word: Word) -> Option<Value<'_>> {
        let RenderInput { event, subscription, delivery, attempt, now } = self.input;
        Some(match word {
            Word::Type => text(&event.event_type),
            Word::Id => text(&event.id),
            Word::Tenant => text(&event.tenant),
            Word::Key => text(event.key.as_deref()?),
            Word::Time => text(&event.time),
            Word::Operation => text(event.operation.as_str()),
            Word::Trigger => text(&event.trigger),
            Word::Entity => text(event.entity()),
            Word::DeliveryId => Value::Text(Cow::Owned(delivery.to_string())),
            Word::Subscription => text(&subscription.name),
            Word::Traceparent => text(event.traceparent.as_deref()?),
            Word::Attempt => Value::Integer(i64::from(*attempt)),
            Word::Timestamp => Value::Integer(now.as_secs()),
        })
    }
}

/// What is known before there is an event.
struct SubscriptionValues<'a>(&'a Subscription);

impl Values for SubscriptionValues<'_> {
    fn value(&self, field: &Field) -> Option<Value<'_>> {
        match field {
            Field::Word(Word::Tenant) => Some(text(self.0.tenant())),
            Field::Word(Word::Subscription) => Some(text(&self.0.name)),
            _ => None,
        }
    }
}

/// What is known when a body is signed by hand.
struct Bare<'a> {
    id: &'a str,
    now: Timestamp,
}

impl Values for Bare<'_> {
    fn value(&self, field: &Field) -> Option<Value<'_>> {
        match field {
            Field::Word(Word::Id) => Some(text(self.id)),
            Field::Word(Word::Timestamp) => Some(Value::Integer(self.now.as_secs())),
            _ => None,
        }
    }
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}
