//! TLS on both sides of a connection: rustls on ring, files that may change while the process runs.

mod client;
mod explain;
mod files;
mod reload;
mod server;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use client::ClientTls;
pub(crate) use explain::{Fault, handshake_refused, of_client};
pub(crate) use files::read;
pub(crate) use reload::{Reloading, Stamp};
pub(crate) use server::{ServerTls, names};

/// TLS of a server. Without `cert` and `key` it serves plaintext.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file of the server's certificate and of those that lead to its CA, the server's own first.
    pub cert: Option<PathBuf>,
    /// PEM file of the certificate's private key.
    pub key: Option<PathBuf>,
    /// PEM file of the CAs whose client certificates are taken. With it, clients must show one.
    pub client_ca: Option<PathBuf>,
    /// Take clients without a certificate too: people with tokens beside services with certificates.
    pub client_optional: bool,
}

/// TLS of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientTlsConfig {
    /// PEM file of the CAs that servers are checked against; the machine's own list without it.
    pub ca: Option<PathBuf>,
    /// PEM file of this client's certificate, for servers that ask for one.
    pub cert: Option<PathBuf>,
    /// PEM file of the certificate's private key.
    pub key: Option<PathBuf>,
    /// The name that the server's certificate must have; the endpoint's host without it.
    pub domain: Option<String>,
}

/// TLS files that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Half of a pair is named.
    #[error("`{given}` is set without `{missing}`: a certificate needs its key, and the reverse")]
    Half {
        /// The key that is there.
        given: &'static str,
        /// The key that is not.
        missing: &'static str,
    },
    /// A file cannot be read, or holds something else.
    #[error("{path}: {message}")]
    File {
        /// The file as it was named.
        path: String,
        /// What was wrong and what to do.
        message: String,
    },
    /// The files do not fit together.
    #[error("certificate {cert}: {message}")]
    Identity {
        /// The certificate's file as it was named.
        cert: String,
        /// What was wrong and what to do.
        message: String,
    },
}

impl TlsConfig {
    /// Whether it is on.
    pub const fn is_on(&self) -> bool {
        self.cert.is_some() || self.key.is_some() || self.client_ca.is_some()
    }
}

impl ClientTlsConfig {
    /// Whether anything is said about it.
    pub fn is_set(&self) -> bool {
        *self != Self::default()
    }
}
