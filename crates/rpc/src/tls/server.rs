//! The server's side.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::SingleCertAndKey;

use super::{Reloading, TlsConfig, TlsError, files};

/// Most names of one certificate that are kept.
const NAMES: usize = 64;

/// What a server needs for handshakes. New connections get the certificate that is in the files now;
/// those that stand are not touched.
#[derive(Debug)]
pub(crate) struct ServerTls(Reloading<ServerConfig, TlsError>);

impl ServerTls {
    /// Reads the files; `None` when TLS is off.
    ///
    /// # Errors
    /// [`TlsError`] names the file or the setting.
    pub(crate) fn open(config: &TlsConfig) -> Result<Option<Self>, TlsError> {
        if !config.is_on() {
            return Ok(None);
        }
        let config = config.clone();
        let files = [&config.cert, &config.key, &config.client_ca].into_iter().flatten().cloned().collect();
        Reloading::open(files, move || build(&config)).map(Self).map(Some)
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.get())
    }
}

fn build(config: &TlsConfig) -> Result<ServerConfig, TlsError> {
    let Some((cert, key)) = files::pair(config.cert.as_deref(), config.key.as_deref())? else {
        return Err(TlsError::Half { given: "tls.client_ca", missing: "tls.cert" });
    };
    let identity = files::identity(cert, key)?;
    let wrong = |message: String| TlsError::Identity { cert: files::shown(cert), message };
    let builder = ServerConfig::builder_with_provider(files::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let roots = Arc::new(files::roots(ca)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, files::provider());
            let verifier = if config.client_optional { verifier.allow_unauthenticated() } else { verifier };
            let verifier = verifier.build().map_err(|error| TlsError::File {
                path: files::shown(ca),
                message: format!("cannot be used to check clients: {error}"),
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if config.client_ca.is_some() {
        // A resumed session would carry a client certificate on without checking it again.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
    }
    Ok(server)
}

/// The names (DNS and URI, such as a SPIFFE id) of a client's certificate, whose chain the handshake has
/// checked. The common name is not read: it has no defined syntax (RFC 9525 §2).
pub(crate) fn names(chain: Option<&[CertificateDer<'_>]>) -> Arc<[String]> {
    let leaf = chain.and_then(<[_]>::first).and_then(|leaf| webpki::EndEntityCert::try_from(leaf).ok());
    let Some(leaf) = leaf else { return Arc::from([]) };
    leaf.valid_dns_names().chain(leaf.valid_uri_names()).take(NAMES).map(str::to_owned).collect()
}
