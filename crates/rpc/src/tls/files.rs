//! PEM files.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::TlsError;

/// Largest file of certificates or keys, bytes: a wrong file should not fill memory.
const FILE_BYTES: u64 = 4 << 20;

/// The one provider of cryptography.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A path as errors show it.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn wrong(path: &Path, message: impl ToString) -> TlsError {
    TlsError::File { path: shown(path), message: message.to_string() }
}

/// A whole file, if it is not too large.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let size = std::fs::metadata(path).map_err(|error| wrong(path, error))?.len();
    if size > FILE_BYTES {
        return Err(wrong(path, format!("it has {size} bytes, at most {FILE_BYTES} are read")));
    }
    std::fs::read(path).map_err(|error| wrong(path, error))
}

/// The certificates of a file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.map_err(|error| wrong(path, format!("not a PEM file: {error}")))?;
    if all.is_empty() {
        return Err(wrong(path, "no `-----BEGIN CERTIFICATE-----` in it"));
    }
    Ok(all)
}

/// The CAs of a file.
pub(super) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| wrong(path, format!("not the certificate of a CA: {error}")))?;
    }
    Ok(roots)
}

/// A certificate with the key that belongs to it.
pub(super) fn identity(cert: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(cert)?;
    let pem = read(key)?;
    let secret = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| wrong(key, "no private key in PEM (PKCS #8, PKCS #1 or SEC 1, without a passphrase)"))?;
    let signer = provider().key_provider.load_private_key(secret).map_err(|error| wrong(key, error))?;
    let certified = CertifiedKey::new(chain, signer);
    certified.keys_match().map_err(|_| TlsError::Identity {
        cert: shown(cert),
        message: format!("the key in {} belongs to another certificate", shown(key)),
    })?;
    Ok(certified)
}

/// Both of a pair, or neither.
pub(super) fn pair<'a>(
    cert: Option<&'a Path>,
    key: Option<&'a Path>,
) -> Result<Option<(&'a Path, &'a Path)>, TlsError> {
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some((cert, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(TlsError::Half { given: "tls.cert", missing: "tls.key" }),
        (None, Some(_)) => Err(TlsError::Half { given: "tls.key", missing: "tls.cert" }),
    }
}
