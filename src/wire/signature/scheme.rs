//! Forms of secrets, and one signature made or checked with one of them.
//!
//! `whsec_`, `whsk_`, `whpk_` and the lengths are those of Standard Webhooks 1.0.0; Ed25519 is RFC 8032.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::model::Secret;

/// How a secret's text becomes a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyForm {
    Text,
    Whsec,
    Whsk,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Hex,
    Base64,
}

/// A key ready to sign.
pub(super) enum SigningKey {
    Hmac(hmac::Key),
    Ed25519(Ed25519KeyPair),
}

/// A key ready to check.
pub(super) enum CheckingKey {
    Hmac(hmac::Key),
    Ed25519(UnparsedPublicKey<Vec<u8>>),
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl KeyForm {
    /// Whether a secret is written in this form, be it right or wrong inside.
    pub(super) fn fits(self, secret: &Secret) -> bool {
        match self {
            Self::Text => true,
            Self::Whsec => secret.expose().starts_with("whsec_"),
            Self::Whsk => secret.expose().starts_with("whsk_"),
        }
    }

    /// The prefix, for messages; `None` for free text.
    pub(super) fn prefix(self) -> Option<&'static str> {
        match self {
            Self::Text => None,
            Self::Whsec => Some("whsec_"),
            Self::Whsk => Some("whsk_"),
        }
    }

    /// The key to sign with.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the secret without showing it.
    pub(super) fn signing_key(self, secret: &Secret) -> Result<SigningKey, String> {
        let text = secret.expose();
        match self {
            Self::Text if text.is_empty() => Err("the secret is empty".to_owned()),
            Self::Text => Ok(SigningKey::Hmac(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))),
            Self::Whsec => {
                let key = decode(text, "whsec_")?;
                if !(24..=64).contains(&key.len()) {
                    return Err(format!("a whsec_ secret holds 24 to 64 bytes, this one {}", key.len()));
                }
                Ok(SigningKey::Hmac(hmac::Key::new(hmac::HMAC_SHA256, &key)))
            }
            Self::Whsk => {
                let key = decode(text, "whsk_")?;
                let pair = match key.len() {
                    32 => Ed25519KeyPair::from_seed_unchecked(&key),
                    64 => Ed25519KeyPair::from_seed_and_public_key(&key[..32], &key[32..]),
                    other => return Err(format!("a whsk_ secret holds 32 or 64 bytes, this one {other}")),
                };
                pair.map(SigningKey::Ed25519)
                    .map_err(|_| "the two halves of the whsk_ secret are not one key pair".to_owned())
            }
        }
    }

    /// The key to check with: the same secret or, for Ed25519, the public key as well. `None` when it is not one.
    pub(super) fn checking_key(self, secret: &Secret) -> Option<CheckingKey> {
        if self == Self::Whsk && secret.expose().starts_with("whpk_") {
            let key = decode(secret.expose(), "whpk_").ok()?;
            return (key.len() == 32).then(|| CheckingKey::Ed25519(UnparsedPublicKey::new(&ED25519, key.to_vec())));
        }
        if !self.fits(secret) {
            return None;
        }
        Some(match self.signing_key(secret).ok()? {
            SigningKey::Hmac(key) => CheckingKey::Hmac(key),
            SigningKey::Ed25519(pair) => {
                CheckingKey::Ed25519(UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref().to_vec()))
            }
        })
    }
}

fn decode(text: &str, prefix: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let bytes = text.strip_prefix(prefix).and_then(|code| LENIENT.decode(code).ok());
    bytes.map(Zeroizing::new).ok_or_else(|| format!("after `{prefix}` the secret is not base64"))
}

impl SigningKey {
    /// Appends the signature of `message`, encoded, to `out`.
    pub(super) fn sign(&self, message: &[u8], encoding: Encoding, out: &mut String) {
        match self {
            Self::Hmac(key) => encoding.write(hmac::sign(key, message).as_ref(), out),
            Self::Ed25519(pair) => encoding.write(pair.sign(message).as_ref(), out),
        }
    }
}

impl CheckingKey {
    /// Whether `signature` is right. Takes the same time wherever an HMAC differs.
    pub(super) fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Ed25519(key) => key.verify(message, signature).is_ok(),
        }
    }
}

impl Encoding {
    fn write(self, bytes: &[u8], out: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        match self {
            Self::Hex => out.extend(
                bytes
                    .iter()
                    .flat_map(|byte| [byte >> 4, byte & 15])
                    .map(|digit| char::from(DIGITS[usize::from(digit)])),
            ),
            Self::Base64 => STANDARD.encode_string(bytes, out),
        }
    }

    /// The bytes `text` stands for.
    pub(super) fn read(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Base64 => LENIENT.decode(text).ok(),
            Self::Hex if !text.len().is_multiple_of(2) => None,
            Self::Hex => {
                let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
                text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
            }
        }
    }
}

/// A fresh secret for HMAC from 24 random bytes: `whsec_` and base64.
pub fn generate_secret(random: &[u8; 24]) -> Secret {
    Secret::new(format!("whsec_{}", STANDARD.encode(random)))
}

/// A fresh Ed25519 key pair from 32 random bytes: the secret `whsk_` (private and public key) and the text `whpk_` for
/// the receiver.
pub fn generate_key_pair(seed: &[u8; 32]) -> (Secret, String) {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("a seed has 32 bytes");
    let public = pair.public_key().as_ref();
    let both = Zeroizing::new([seed.as_slice(), public].concat());
    (Secret::new(format!("whsk_{}", STANDARD.encode(&*both))), format!("whpk_{}", STANDARD.encode(public)))
}
