//! The tokens: made, listed, revoked, and found again by what a request shows.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use super::DoorError;
use super::store::{Kept, load, save};
use crate::admin::api::{NewToken, Page, Token};
use crate::admin::caller::{Caller, Scope};
use crate::admin::control::{ControlError, PageRequest};
use crate::env::{Clock, Files};
use crate::model::{Secret, hex};

/// So that a token is known as one wherever it turns up.
const PREFIX: &str = "sph_";
/// Of all tenants together: each request with a token is compared with all of them.
const TOKENS_MAX: usize = 1000;
const NAME_MAX: usize = 64;
const TENANT_MAX: usize = 256;
/// Names that the log of changes uses for those who come without a token of their own.
const RESERVED: [&str; 3] = ["socket", BOOTSTRAP, "engine"];
const BOOTSTRAP: &str = "token_file";
/// A bootstrap token of fewer bytes may be one that somebody made up.
const UNGUESSABLE_BYTES: usize = 32;

#[derive(Clone, Default)]
struct Held {
    kept: Vec<Kept>,
    bootstrap: Option<Bootstrap>,
}

#[derive(Clone, Copy)]
struct Bootstrap {
    sha256: [u8; 32],
    is_guessable: bool,
}

/// Which token a request showed, so that what goes on for long can see whether it still counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::admin) struct Proof([u8; 32]);

/// What a shown token turned out to be.
#[derive(Clone)]
pub(super) struct Known {
    pub caller: Caller,
    pub proof: Proof,
    /// Somebody who may try often enough could find it.
    pub is_guessable: bool,
}

/// Every token there is.
pub struct Tokens {
    files: Arc<dyn Files>,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    /// Replaced as a whole, so that whoever looks a token up never waits for a disk.
    held: Mutex<Arc<Held>>,
    /// One change of the file at a time.
    writing: Mutex<()>,
    changes: watch::Sender<()>,
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Tokens {
    pub(super) fn open(files: Arc<dyn Files>, dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, DoorError> {
        let path = dir.join("tokens.json");
        let held = Held { kept: load(&*files, &path)?, bootstrap: None };
        Ok(Self {
            files,
            clock,
            path,
            held: Mutex::new(Arc::new(held)),
            writing: Mutex::new(()),
            changes: watch::Sender::new(()),
        })
    }

    fn held(&self) -> Arc<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, change: impl FnOnce(&mut Held)) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut held));
        drop(held);
        self.changes.send_replace(());
    }

    /// The token of `[admin] token_file`, trimmed.
    pub(super) fn set_bootstrap(&self, token: Option<&Secret>) {
        let bootstrap = token.map(|token| {
            let token = token.expose().trim();
            Bootstrap { sha256: digest(token), is_guessable: token.len() < UNGUESSABLE_BYTES }
        });
        self.put(|held| held.bootstrap = bootstrap);
    }

    /// Whether there is any token at all.
    pub(super) fn is_empty(&self) -> bool {
        let held = self.held();
        held.kept.is_empty() && held.bootstrap.is_none()
    }

    /// Whether one is so short that it may be found by trying.
    pub(super) fn has_a_guessable_one(&self) -> bool {
        self.held().bootstrap.is_some_and(|bootstrap| bootstrap.is_guessable)
    }

    /// Returns when `proof` counts no more.
    pub(in crate::admin) async fn revoked(&self, proof: Proof) {
        let mut changes = self.changes.subscribe();
        let counts = |held: &Held| {
            let kept = held.kept.iter().map(|kept| kept.sha256);
            kept.chain(held.bootstrap.map(|bootstrap| bootstrap.sha256)).any(|sha256| sha256 == proof.0)
        };
        while counts(&self.held()) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Who shows this token. Every hash is compared, each in constant time.
    pub(super) fn find(&self, token: &str) -> Option<Known> {
        let (held, shown) = (self.held(), digest(token));
        let is_it = |sha256: &[u8; 32]| bool::from(sha256.ct_eq(&shown));
        let (mut known, proof) = (None, Proof(shown));
        for kept in &held.kept {
            if is_it(&kept.sha256) {
                let caller = Caller { name: kept.name.clone(), scope: kept.scope, tenant: kept.tenant.clone() };
                known = Some(Known { caller, proof, is_guessable: false });
            }
        }
        if let Some(bootstrap) = held.bootstrap.filter(|bootstrap| is_it(&bootstrap.sha256)) {
            let caller = Caller { name: BOOTSTRAP.to_owned(), scope: Scope::Admin, tenant: None };
            known = Some(Known { caller, proof, is_guessable: bootstrap.is_guessable });
        }
        known
    }

    /// The tokens that the caller may manage, oldest first. Cursors are the number of tokens to pass over.
    pub fn list(&self, caller: &Caller, page: &PageRequest) -> Result<Page<Token>, ControlError> {
        let skip: usize = page.cursor.as_deref().map_or(Ok(0), str::parse).map_err(|_| {
            let cursor = page.cursor.as_deref().unwrap_or_default();
            ControlError::Invalid(format!("\"{cursor}\" is no cursor of this list"))
        })?;
        let held = self.held();
        let mine: Vec<&Kept> = held.kept.iter().filter(|kept| manages(caller, kept)).collect();
        let data: Vec<Token> = mine.iter().skip(skip).take(usize::from(page.limit)).map(|kept| kept.about()).collect();
        let end = skip.saturating_add(data.len());
        let has_more = end < mine.len();
        Ok(Page { data, next_cursor: has_more.then(|| end.to_string()), has_more })
    }

    /// Makes a token. It is in the answer and nowhere else.
    pub fn create(&self, caller: &Caller, new: NewToken) -> Result<(Token, Secret), ControlError> {
        check_name(&new.name)?;
        let tenant = match (&caller.tenant, new.tenant) {
            (Some(own), Some(other)) if *own != other => {
                return Err(ControlError::Forbidden(format!(
                    "the token \"{}\" belongs to a tenant and makes tokens of that tenant only",
                    caller.name
                )));
            }
            (Some(own), _) => Some(own.clone()),
            (None, tenant) => tenant,
        };
        if tenant.as_ref().is_some_and(|tenant| tenant.is_empty() || tenant.len() > TENANT_MAX) {
            return Err(ControlError::Invalid(format!("a tenant has 1 to {TENANT_MAX} bytes")));
        }
        if new.scope > caller.scope {
            let (wanted, own) = (new.scope.as_str(), caller.scope.as_str());
            return Err(ControlError::Forbidden(format!(
                "a token of scope \"{own}\" makes none of scope \"{wanted}\""
            )));
        }
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = self.held().kept.clone();
        if kept.iter().any(|other| other.name == new.name && other.tenant == tenant) {
            return Err(ControlError::Conflict(format!(
                "there is a token \"{}\" already; revoke it first, or choose another name",
                new.name
            )));
        }
        if kept.len() >= TOKENS_MAX {
            return Err(ControlError::Conflict(format!("there are {TOKENS_MAX} tokens; revoke some that nobody uses")));
        }
        let token = Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()?)));
        let made = Kept {
            id: format!("tok_{}", hex(&random::<6>()?)),
            name: new.name,
            scope: new.scope,
            tenant,
            created_at: self.clock.now(),
            sha256: digest(token.expose()),
        };
        let about = made.about();
        kept.push(made);
        self.replace(kept)?;
        Ok((about, token))
    }

    /// Forgets a token, named by id or by name; from now on nobody comes in with it.
    pub fn revoke(&self, caller: &Caller, key: &str) -> Result<Token, ControlError> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = self.held().kept.clone();
        let is_meant = |each: &Kept| manages(caller, each) && (each.id == key || each.name == key);
        let found: Vec<usize> = (0..kept.len()).filter(|at| is_meant(&kept[*at])).collect();
        match found.as_slice() {
            [at] => {
                let gone = kept.remove(*at);
                self.replace(kept)?;
                Ok(gone.about())
            }
            [] => Err(ControlError::NotFound(format!("no token {key}; see `spoolhook token list`"))),
            several => {
                let ids: Vec<&str> = several.iter().map(|at| kept[*at].id.as_str()).collect();
                Err(ControlError::Ambiguous(format!(
                    "several tenants have a token {key}; name it by its id: {}",
                    ids.join(", ")
                )))
            }
        }
    }

    fn replace(&self, kept: Vec<Kept>) -> Result<(), ControlError> {
        save(&*self.files, &self.path, &kept)
            .map_err(|error| ControlError::Internal(format!("write {}: {error}", self.path.display())))?;
        self.put(|held| held.kept = kept);
        Ok(())
    }
}

/// A tenant's administrator manages the tokens of its tenant.
fn manages(caller: &Caller, kept: &Kept) -> bool {
    caller.tenant.is_none() || caller.tenant == kept.tenant
}

fn check_name(name: &str) -> Result<(), ControlError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(legal) {
        return Err(ControlError::Invalid(format!("a token's name is 1 to {NAME_MAX} of A-Z a-z 0-9 . _ -")));
    }
    if RESERVED.contains(&name) || name.starts_with("tok_") {
        return Err(ControlError::Invalid(format!("the name \"{name}\" has a meaning of its own; choose another")));
    }
    Ok(())
}

fn random<const N: usize>() -> Result<[u8; N], ControlError> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| ControlError::Internal("the kernel gives no random bytes for a token".to_owned()))?;
    Ok(bytes)
}
