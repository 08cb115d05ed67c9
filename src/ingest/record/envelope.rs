//! One pass over the top level of an event: which fields it has and where their raw bytes lie. No value is decoded and
//! no tree is built, so `data` costs one scan whatever it holds.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// As many keys are compared each with each.
pub(super) const FEW_KEYS: usize = 16;

/// The raw JSON of each field the engine reads, borrowed from the line.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Envelope<'a> {
    pub(super) event_type: Option<&'a str>,
    pub(super) data: Option<&'a str>,
    pub(super) data_base64: Option<&'a str>,
    pub(super) old: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    pub(super) tenant: Option<&'a str>,
    pub(super) time: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    pub(super) subject: Option<&'a str>,
    pub(super) operation: Option<&'a str>,
    pub(super) trigger: Option<&'a str>,
    pub(super) traceparent: Option<&'a str>,
    pub(super) specversion: Option<&'a str>,
    keys: Vec<Cow<'a, str>>,
}

impl<'a> Envelope<'a> {
    pub(super) fn with_few_keys() -> Self {
        Self { keys: Vec::with_capacity(FEW_KEYS / 2), ..Self::default() }
    }

    /// How many fields it has.
    pub(super) fn count(&self) -> usize {
        self.keys.len()
    }

    /// Takes a field in.
    pub(super) fn add(&mut self, key: impl Into<Cow<'a, str>>, value: &'a str) {
        let key = key.into();
        if let Some(slot) = self.slot(&key) {
            *slot = Some(value);
        }
        self.keys.push(key);
    }

    /// A key that occurs more than once. Few keys are quickly compared with each other; sorting keeps a line of a hundred
    /// thousand keys from costing their square.
    pub(super) fn duplicate_key(&self) -> Option<&str> {
        if self.keys.len() <= FEW_KEYS {
            let earlier = |(at, key): (usize, &Cow<'_, str>)| self.keys[..at].contains(key);
            return self.keys.iter().enumerate().find(|pair| earlier(*pair)).map(|(_, key)| key.as_ref());
        }
        let mut keys: Vec<&str> = self.keys.iter().map(AsRef::as_ref).collect();
        keys.sort_unstable();
        keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }

    fn slot(&mut self, key: &str) -> Option<&mut Option<&'a str>> {
        Some(match key {
            "type" => &mut self.event_type,
            "data" => &mut self.data,
            "data_base64" => &mut self.data_base64,
            "old" => &mut self.old,
            "id" => &mut self.id,
            "tenant" => &mut self.tenant,
            "time" => &mut self.time,
            "key" => &mut self.key,
            "subject" => &mut self.subject,
            "operation" => &mut self.operation,
            "trigger" => &mut self.trigger,
            "traceparent" => &mut self.traceparent,
            "specversion" => &mut self.specversion,
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Envelope<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("one JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut envelope = Envelope::with_few_keys();
                while let Some(Key(key)) = map.next_key()? {
                    let value: &RawValue = map.next_value()?;
                    envelope.add(key, value.get());
                }
                Ok(envelope)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// An object key, borrowed unless it holds escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a field name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}
