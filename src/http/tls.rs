//! TLS identities: which CAs an endpoint may be signed by and which certificate we show it.
//!
//! Roots are Mozilla's (webpki-roots); `ca_file` adds to them. Everything is read and checked when the configuration is
//! loaded, so that a bad file is an error there and not a failed delivery. TLS 1.2 and 1.3, no session crosses identities.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use crate::env::{Files as _, OsFiles};
use crate::model::{Timestamp, Tls};

/// A TLS setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{file}: {source}")]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{file}: not PEM ({text})")]
    Pem { file: PathBuf, text: String },
    #[error("{0}: holds no certificate (expected -----BEGIN CERTIFICATE-----)")]
    NoCertificate(PathBuf),
    #[error("{0}: holds no private key (expected -----BEGIN PRIVATE KEY-----)")]
    NoKey(PathBuf),
    #[error("{file}: certificate {number} cannot be read: {source}")]
    BadCertificate { file: PathBuf, number: usize, source: rustls::Error },
    #[error("tls.client_cert_file and tls.client_key_file must be given together")]
    Incomplete,
    #[error("{key}: does not fit the certificate in {certificate}: {source}")]
    Mismatch { key: PathBuf, certificate: PathBuf, source: rustls::Error },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    OsFiles.read(file).map_err(|source| TlsError::Read { file: file.to_owned(), source })
}

fn pem_error(file: &Path, error: &pem::Error) -> TlsError {
    TlsError::Pem { file: file.to_owned(), text: error.to_string() }
}

fn certificates(file: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(bytes).collect::<Result<_, _>>().map_err(|error| pem_error(file, &error))?;
    if found.is_empty() { Err(TlsError::NoCertificate(file.to_owned())) } else { Ok(found) }
}

/// The certificates in a PEM file, each one looked at.
pub(super) fn certificates_in(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = certificates(file, &read(file)?)?;
    let mut roots = RootCertStore::empty();
    for (at, certificate) in found.iter().enumerate() {
        let bad = |source| TlsError::BadCertificate { file: file.to_owned(), number: at + 1, source };
        roots.add(certificate.clone()).map_err(bad)?;
    }
    Ok(found)
}

/// When a certificate ends (RFC 5280, 4.1.2.5).
pub(super) fn valid_until(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    certificate.validity().not_after.timestamp().checked_mul(1000).map(Timestamp)
}

fn private_key(file: &Path, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(file.to_owned()),
        other => pem_error(file, &other),
    })
}

type Fingerprint = [u8; 32];

/// One `ClientConfig` per distinct identity, told apart by the content of its files, so that a reload sees a changed
/// file. An identity lives as long as an endpoint uses it.
#[derive(Default)]
pub(super) struct Identities(Mutex<HashMap<Fingerprint, Weak<ClientConfig>>>);

impl Identities {
    /// The identity that `tls` describes, read from its files.
    pub(super) fn load(&self, tls: &Tls) -> Result<Arc<ClientConfig>, TlsError> {
        let files = Files::read(tls)?;
        let fingerprint = files.fingerprint();
        let mut known = self.0.lock().unwrap_or_else(|poison| poison.into_inner());
        if let Some(config) = known.get(&fingerprint).and_then(Weak::upgrade) {
            return Ok(config);
        }
        let config = Arc::new(files.build()?);
        known.retain(|_, config| config.strong_count() > 0);
        known.insert(fingerprint, Arc::downgrade(&config));
        Ok(config)
    }
}

struct Files<'a> {
    ca: Option<(&'a Path, Vec<u8>)>,
    /// Certificate chain and key.
    client: Option<[(&'a Path, Vec<u8>); 2]>,
}

impl<'a> Files<'a> {
    fn read(tls: &'a Tls) -> Result<Self, TlsError> {
        let load = |file: &'a PathBuf| Ok::<_, TlsError>((file.as_path(), read(file)?));
        let ca = tls.ca_file.as_ref().map(load).transpose()?;
        let client = match (&tls.client_cert_file, &tls.client_key_file) {
            (Some(certificate), Some(key)) => Some([load(certificate)?, load(key)?]),
            (None, None) => None,
            _ => return Err(TlsError::Incomplete),
        };
        Ok(Self { ca, client })
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        let parts = self.ca.iter().map(|part| (1u8, part));
        for (kind, (_, bytes)) in parts.chain(self.client.iter().flatten().map(|part| (2u8, part))) {
            hash.update([kind]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
        hash.finalize().into()
    }

    fn build(&self) -> Result<ClientConfig, TlsError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some((file, bytes)) = &self.ca {
            for (at, certificate) in certificates(file, bytes)?.into_iter().enumerate() {
                let bad = |source| TlsError::BadCertificate { file: (*file).to_owned(), number: at + 1, source };
                roots.add(certificate).map_err(bad)?;
            }
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let Some([(certificate_file, chain), (key_file, key)]) = &self.client else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(certificate_file, chain)?;
        let key = private_key(key_file, key)?;
        builder.with_client_auth_cert(chain, key).map_err(|source| TlsError::Mismatch {
            key: (*key_file).to_owned(),
            certificate: (*certificate_file).to_owned(),
            source,
        })
    }
}
