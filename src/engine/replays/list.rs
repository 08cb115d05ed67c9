//! The deliveries of a job, as they stood when it was made.

use std::collections::BTreeMap;

use bincode::Options;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::store::{DeliveryFacts, DeliveryKey, ExceptionStatus};

/// One delivery: whoever finds it otherwise later leaves it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub key: DeliveryKey,
    /// `Delivered`: it had no row.
    pub was: ExceptionStatus,
    pub attempts: u32,
    pub base: u32,
}

/// The list. Entries of one subscription stand together, in the order in which they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub entries: Vec<Entry>,
    /// What is known of those without a row, by index.
    pub facts: BTreeMap<u32, DeliveryFacts>,
}

/// Bytes that do not read back.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("its checksum differs")]
    Checksum,
    #[error("it has version {0}; a newer spoolhook wrote it")]
    Version(u8),
    #[error("it does not decode: {0}")]
    Malformed(bincode::Error),
}

const VERSION: u8 = 1;

fn options() -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().reject_trailing_bytes()
}

/// `| crc32 u32 of the rest | version u8 | bincode |`
pub(super) fn seal<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, VERSION];
    options().serialize_into(&mut bytes, value).expect("these types serialise and a Vec does not fail");
    let crc = crc32fast::hash(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads what [`seal`] wrote.
pub(super) fn unseal<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, SealError> {
    let (crc, rest) = bytes.split_at_checked(4).ok_or(SealError::Checksum)?;
    if crc32fast::hash(rest).to_le_bytes() != crc {
        return Err(SealError::Checksum);
    }
    match rest.split_first() {
        Some((&VERSION, rest)) => options().deserialize(rest).map_err(SealError::Malformed),
        Some((&other, _)) => Err(SealError::Version(other)),
        None => Err(SealError::Checksum),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SubId;

    #[test]
    fn lists_read_back_and_damage_is_noticed() {
        let key = DeliveryKey { sub: SubId(1), seq: 7, replay: 0 };
        let entry = Entry { key, was: ExceptionStatus::Failed, attempts: 3, base: 0 };
        let list = Snapshot { entries: vec![entry; 3], facts: BTreeMap::new() };
        let mut bytes = seal(&list);
        assert!(bytes.len() < 120, "about thirty bytes a delivery: {}", bytes.len());
        assert_eq!(unseal::<Snapshot>(&bytes).unwrap(), list);
        bytes[9] ^= 1;
        assert!(matches!(unseal::<Snapshot>(&bytes), Err(SealError::Checksum)));
        assert!(unseal::<Snapshot>(b"").is_err());
    }
}
