//! Body and secrets -> the headers that sign it.

use super::compile::Signature;
use super::scheme::SigningKey;
use crate::model::Secret;
use crate::wire::template::{Field, Value, Values};

/// One secret, keyed and bound to the scheme it signs by.
pub(in crate::wire) struct Signer {
    scheme: usize,
    key: SigningKey,
}

impl Signature {
    /// Keys one secret.
    ///
    /// # Errors
    /// A sentence that says why this dialect cannot sign with it.
    pub(in crate::wire) fn signer(&self, secret: &Secret) -> Result<Signer, String> {
        let Some(scheme) = self.schemes.iter().position(|scheme| scheme.key.fits(secret)) else {
            let prefixes: Vec<&str> = self.schemes.iter().filter_map(|scheme| scheme.key.prefix()).collect();
            let public = secret.expose().starts_with("whpk_");
            let hint = if public { "; a whpk_ key can only check" } else { "" };
            return Err(format!("the secret must start with {}{hint}", prefixes.join(" or ")));
        };
        Ok(Signer { scheme, key: self.schemes[scheme].key.signing_key(secret)? })
    }

    /// Keys those of `secrets` (newest first) that sign: all of them, or the newest where there is room for one.
    ///
    /// # Errors
    /// The secret at fault and why.
    pub(in crate::wire) fn signers<'s>(&self, secrets: &'s [Secret]) -> Result<Vec<Signer>, (&'s Secret, String)> {
        let count = if self.join.is_some() { secrets.len() } else { secrets.len().min(1) };
        secrets[..count].iter().map(|secret| self.signer(secret).map_err(|reason| (secret, reason))).collect()
    }

    /// The headers that go with `body`; none without a signer. `None` when a field that is signed has no value.
    pub(in crate::wire) fn headers(
        &self,
        signers: &[Signer],
        values: &dyn Values,
        body: &[u8],
    ) -> Option<Vec<(String, String)>> {
        if signers.is_empty() {
            return Some(Vec::new());
        }
        let mut message = Vec::new();
        let message = if self.over.is_just_given() {
            body
        } else {
            message.reserve(body.len() + 96);
            self.over.write(&Given { values, given: body }, &mut message).then_some(message.as_slice())?
        };
        let mut signatures = String::with_capacity(96 * signers.len());
        for (index, signer) in signers.iter().enumerate() {
            if index > 0 {
                signatures.push_str(self.join.as_deref().unwrap_or_default());
            }
            let scheme = &self.schemes[signer.scheme];
            signatures.push_str(&scheme.before);
            signer.key.sign(message, scheme.encoding, &mut signatures);
            signatures.push_str(&scheme.after);
        }
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        for header in &self.headers {
            headers.push((header.name.clone(), header.value.text(values)?));
        }
        let value = self.value.text(&Given { values, given: signatures.as_bytes() })?;
        headers.push((self.header.clone(), value));
        Some(headers)
    }
}

/// Values, and what the template's own name stands for.
struct Given<'a> {
    values: &'a dyn Values,
    given: &'a [u8],
}

impl Values for Given<'_> {
    fn value(&self, field: &Field) -> Option<Value<'_>> {
        match field {
            Field::Given => Some(Value::Bytes(self.given)),
            other => self.values.value(other),
        }
    }
}
