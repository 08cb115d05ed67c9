//! The `wire` room, as `sign`, `verify` and `listen` see it.

use super::super::error::{CliError, ExitKind};
use crate::model::{Secret, Timestamp};
use crate::wire::{self, Dialect, Dialects};

/// What a signature is made over.
#[derive(Clone, Debug)]
pub struct Message {
    /// Newest first; all of them sign where the dialect can.
    pub secrets: Vec<Secret>,
    /// Delivery (or message) id.
    pub id: String,
    /// When it is signed.
    pub at: Timestamp,
    pub body: Vec<u8>,
}

/// What a check of a signature says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There was nothing to check, or nothing to check with.
    NotChecked,
    /// `signature ok (umbra, key 3f9a)`: whose, and the fingerprint of the secret that fits.
    Good(String),
    /// A sentence: no signature header, key differs, too old.
    Bad(String),
}

/// The headers a sender would add, in order.
pub fn sign(dialect: &str, message: &Message) -> Result<Vec<(String, String)>, CliError> {
    let dialects = Dialects::built_in();
    let headers = find(&dialects, dialect)?
        .sign(&message.body, &message.id, message.at, &message.secrets)
        .map_err(|error| CliError::new(ExitKind::Usage, error.to_string()))?;
    match headers.is_empty() {
        true => Err(CliError::new(ExitKind::Usage, format!("the dialect {dialect} does not sign"))),
        false => Ok(headers),
    }
}

/// Judges the headers of a request as a receiver of the dialect would at `now`. Without a dialect each built-in one is
/// tried, and the best verdict counts.
pub fn verify(
    dialect: Option<&str>,
    headers: &[(String, String)],
    body: &[u8],
    secrets: &[Secret],
    now: Timestamp,
) -> Result<Verdict, CliError> {
    let dialects = Dialects::built_in();
    let judge = |dialect: &Dialect| in_words(dialect.name(), dialect.verify(headers, body, secrets, now));
    if let Some(name) = dialect {
        return Ok(judge(find(&dialects, name)?).1);
    }
    let verdicts = dialects.names().into_iter().filter_map(|name| dialects.get(name)).map(|dialect| judge(dialect));
    Ok(match verdicts.max_by_key(|(worth, _)| *worth) {
        Some((worth, verdict)) if worth > MISSING => verdict,
        _ => Verdict::Bad("it carries no signature header of any dialect".to_owned()),
    })
}

fn find<'d>(dialects: &'d Dialects, name: &str) -> Result<&'d Dialect, CliError> {
    dialects.get(name).map(AsRef::as_ref).ok_or_else(|| {
        CliError::new(ExitKind::Usage, format!("there is no dialect \"{name}\""))
            .help(format!("choose of {}", dialects.names().join(", ")))
    })
}

const MISSING: u8 = 1;

/// The verdict as a sentence, and how much it tells: a request that carries a dialect's headers is of that dialect.
fn in_words(dialect: &str, verdict: wire::Verdict) -> (u8, Verdict) {
    match verdict {
        wire::Verdict::Ok { fingerprint } => (4, Verdict::Good(format!("signature ok ({dialect}, key {fingerprint})"))),
        wire::Verdict::Stale { skew_s } => {
            (3, Verdict::Bad(format!("signed {skew_s} s ago, which is too far from now; are both clocks right?")))
        }
        wire::Verdict::Mismatch { reason } => (2, Verdict::Bad(reason)),
        wire::Verdict::Missing(header) => (MISSING, Verdict::Bad(format!("there is no {header} header"))),
        wire::Verdict::Unsigned => (0, Verdict::NotChecked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_773_309_600_000);

    #[test]
    fn what_is_signed_verifies_and_tells_its_dialect() {
        let secrets = vec![Secret::new("whsec_c3Bvb2xob29rLWRlbW8tc2VjcmV0LTAx")];
        let message = Message { secrets: secrets.clone(), id: "msg_1".into(), at: NOW, body: b"{}".to_vec() };
        for dialect in ["umbra", "standard"] {
            let headers = sign(dialect, &message).unwrap();
            let verdict = verify(None, &headers, b"{}", &secrets, NOW).unwrap();
            assert_eq!(verdict, Verdict::Good(format!("signature ok ({dialect}, key {})", secrets[0].fingerprint())));
            assert!(matches!(verify(None, &headers, b"{ }", &secrets, NOW), Ok(Verdict::Bad(_))));
        }
        assert_eq!(sign("carbon", &message).unwrap_err().kind, ExitKind::Usage);
        assert_eq!(verify(Some("nope"), &[], b"", &secrets, NOW).unwrap_err().kind, ExitKind::Usage);
        assert!(matches!(verify(None, &[], b"", &secrets, NOW), Ok(Verdict::Bad(_))));
    }
}
