//! Values that must never be seen: not in a log, an error, a metric, `Debug` or the API.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::hex;

/// A secret text. It prints as `***`, cannot be serialised, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for signing and for the wire only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Four hex digits of SHA-256, so that both sides of a mismatch can compare keys without showing them.
    pub fn fingerprint(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes())[..2])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("whsec_abc")), "***");
    }
}
