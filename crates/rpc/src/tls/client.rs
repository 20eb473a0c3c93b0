//! The client's side.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{ClientTlsConfig, Reloading, TlsError, files};

/// What a client needs for handshakes; new connections use the files as they are now.
#[derive(Debug)]
pub(crate) struct ClientTls(Reloading<ClientConfig, TlsError>);

impl ClientTls {
    /// Reads the files. `protocol` is what is spoken inside (`h2`, `http/1.1`).
    ///
    /// # Errors
    /// [`TlsError`] names the file or the setting.
    pub(crate) fn open(config: &ClientTlsConfig, protocol: &'static [u8]) -> Result<Self, TlsError> {
        let config = config.clone();
        let named: Vec<PathBuf> = [&config.ca, &config.cert, &config.key].into_iter().flatten().cloned().collect();
        Reloading::open(named, move || build(&config, protocol)).map(Self)
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.0.get())
    }
}

fn build(config: &ClientTlsConfig, protocol: &'static [u8]) -> Result<ClientConfig, TlsError> {
    let roots = match &config.ca {
        Some(ca) => files::roots(ca)?,
        None => of_machine()?,
    };
    let wrong = |message: String| TlsError::Identity { cert: "of this client".into(), message };
    let builder = ClientConfig::builder_with_provider(files::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots);
    let mut client = match files::pair(config.cert.as_deref(), config.key.as_deref())? {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(files::identity(cert, key)?)))
        }
    };
    client.alpn_protocols = vec![protocol.to_vec()];
    // Connections live long; a resumed one would skip the check of the server's certificate.
    client.resumption = Resumption::disabled();
    Ok(client)
}

fn of_machine() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let message = "this machine lists no CAs: name one in `tls.ca`".to_owned();
        return Err(TlsError::File { path: "the machine's CA list".into(), message });
    }
    Ok(roots)
}
