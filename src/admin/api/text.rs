//! Values that travel as their names: instants, statuses, outcomes, triggers. For `#[serde(with = "text")]` and, where
//! the value may be missing, `#[serde(default, with = "text::option")]`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

use crate::model::{AttemptTrigger, DeliveryStatus, Outcome, Timestamp};

/// A value with one text form.
pub trait Text: Sized {
    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

impl Text for Timestamp {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl Text for DeliveryStatus {
    fn write(&self) -> String {
        self.as_str().to_owned()
    }

    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl Text for Outcome {
    fn write(&self) -> String {
        self.as_str().to_owned()
    }

    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl Text for AttemptTrigger {
    fn write(&self) -> String {
        self.as_str().to_owned()
    }

    fn read(text: &str) -> Option<Self> {
        [Self::First, Self::Retry, Self::Manual].into_iter().find(|trigger| trigger.as_str() == text)
    }
}

pub fn serialize<T: Text, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&value.write())
}

pub fn deserialize<'de, T: Text, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    T::read(&text).ok_or_else(|| D::Error::custom(format!("unknown value \"{text}\"")))
}

/// The same for a value that may be missing.
pub mod option {
    use super::*;

    pub fn serialize<T: Text, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.serialize_some(&value.write()),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, T: Text, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
        match Option::<String>::deserialize(from)? {
            Some(text) => T::read(&text).map(Some).ok_or_else(|| D::Error::custom(format!("unknown value \"{text}\""))),
            None => Ok(None),
        }
    }
}
