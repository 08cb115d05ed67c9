//! Signing what goes out and, from the same table, checking what came in.
//!
//! ```text
//! [signature]
//! header   = "Stripe-Signature"              carries the signature
//! headers  = { X-Time = "{{timestamp}}" }    go along with it, only when something is signed
//! over     = "{{timestamp}}.{{body}}"        what is signed
//! value    = "t={{timestamp}},{{signatures}}"        the header's value; default "{{signatures}}"
//! join     = ","                             between signatures; without it only the newest secret signs
//! required = true                            false: without a secret the request goes unsigned
//! schemes  = [{ key = "text", algorithm = "hmac-sha256", encoding = "hex", each = "v1={{signature}}" }]
//! ```
//! A secret signs by the first scheme whose `key` form it has: `text` is any text, its UTF-8 bytes are the key; `whsec`
//! is `whsec_` and base64 of 24 to 64 bytes; `whsk` is `whsk_` and base64 of an Ed25519 key. With `join` all secrets of
//! the subscription sign, newest first, so that a receiver may change over in its own time. Every field in `over` must
//! stand alone in `headers` or in `value`: from there a receiver reads it back.

mod compile;
mod scheme;
mod sign;
mod verify;

pub use scheme::{generate_key_pair, generate_secret};
pub use verify::Verdict;

pub(super) use compile::Signature;
pub(super) use sign::Signer;
