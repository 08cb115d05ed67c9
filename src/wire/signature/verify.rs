//! The receiver's side: a request and some secrets -> is it genuine?

use super::compile::Signature;
use super::scheme::CheckingKey;
use crate::model::{Secret, Timestamp};
use crate::wire::dialect::Dialect;
use crate::wire::template::{Choice, Field, Placeholder, Word};

/// What a check of one request found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Signed with the secret of this fingerprint.
    Ok { fingerprint: String },
    /// The dialect does not sign, or it signs only with a secret and there is none to check with.
    Unsigned,
    /// This header is not there.
    Missing(String),
    /// The headers are there and prove nothing; the reason is one sentence.
    Mismatch { reason: String },
    /// Signed, but at another time: `skew_s` seconds ago, negative when in the future.
    Stale { skew_s: i64 },
}

/// How far the signed time may lie from the receiver's: what the reference libraries of Standard Webhooks allow.
const TOLERANCE_S: u64 = 300;

impl Dialect {
    /// Checks a received request as a receiver of this dialect would. Header names compare without regard to case;
    /// `secrets` may hold public `whpk_` keys.
    pub fn verify(&self, headers: &[(String, String)], body: &[u8], secrets: &[Secret], now: Timestamp) -> Verdict {
        match &self.signature {
            Some(signature) if signature.required || !secrets.is_empty() => {
                signature.verify(headers, body, secrets, now).unwrap_or_else(|verdict| verdict)
            }
            _ => Verdict::Unsigned,
        }
    }
}

impl Signature {
    /// Both arms are verdicts; `?` ends the check with a bad one.
    fn verify(
        &self,
        headers: &[(String, String)],
        body: &[u8],
        secrets: &[Secret],
        now: Timestamp,
    ) -> Result<Verdict, Verdict> {
        let mut carried = Vec::new();
        for header in &self.headers {
            let text = find(headers, &header.name)?;
            carried.extend(header.value.capture(text).ok_or_else(|| malformed(&header.name))?);
        }
        let text = find(headers, &self.header)?;
        carried.extend(self.value.capture(text).ok_or_else(|| malformed(&self.header))?);
        let signatures = carried.iter().find(|(placeholder, _)| placeholder.is_given()).map_or("", |(_, text)| text);
        let message = self.over.rewrite(&carried, body).ok_or_else(|| malformed(&self.header))?;
        let signer = self.signer_of(&message, signatures, secrets)?;
        if let Some((_, signed)) = carried.iter().find(|(placeholder, _)| is_timestamp(placeholder)) {
            let signed: i64 = signed.parse().map_err(|_| mismatch("the signed timestamp is not a number"))?;
            let skew_s = now.as_secs().saturating_sub(signed);
            if skew_s.unsigned_abs() > TOLERANCE_S {
                return Err(Verdict::Stale { skew_s });
            }
        }
        Ok(Verdict::Ok { fingerprint: signer.fingerprint() })
    }

    /// The secret that made one of `signatures`. Signatures of unknown schemes are passed over.
    fn signer_of<'s>(&self, message: &[u8], signatures: &str, secrets: &'s [Secret]) -> Result<&'s Secret, Verdict> {
        let mut decoded = 0u32;
        let mut usable = 0u32;
        let entries: Vec<&str> = match &self.join {
            Some(join) => signatures.split(join.as_str()).collect(),
            None => vec![signatures],
        };
        for scheme in &self.schemes {
            let found: Vec<Vec<u8>> = entries
                .iter()
                .filter_map(|entry| entry.strip_prefix(scheme.before.as_str())?.strip_suffix(scheme.after.as_str()))
                .filter_map(|text| scheme.encoding.read(text))
                .collect();
            decoded += u32::try_from(found.len()).unwrap_or(u32::MAX);
            for secret in secrets {
                let Some(key) = scheme.key.checking_key(secret) else { continue };
                usable += 1;
                let right = |signature: &Vec<u8>| CheckingKey::accepts(&key, message, signature);
                if found.iter().any(right) {
                    return Ok(secret);
                }
            }
        }
        Err(match (decoded, usable) {
            (0, _) => malformed(&self.header),
            (_, 0) => mismatch("no secret of a form this dialect signs with was given"),
            _ => mismatch("no signature fits this body and these secrets: another secret, or the body was changed"),
        })
    }
}

fn find<'h>(headers: &'h [(String, String)], name: &str) -> Result<&'h str, Verdict> {
    let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim()).ok_or_else(|| Verdict::Missing(name.to_owned()))
}

fn is_timestamp(placeholder: &Placeholder) -> bool {
    placeholder.choices.first() == Some(&Choice::Field(Field::Word(Word::Timestamp)))
}

fn malformed(header: &str) -> Verdict {
    Verdict::Mismatch { reason: format!("the header `{header}` does not have the form of this dialect") }
}

fn mismatch(reason: &str) -> Verdict {
    Verdict::Mismatch { reason: reason.to_owned() }
}
