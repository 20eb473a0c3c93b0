//! Listening, and refusing to where it would be unsafe.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::{TcpListener, lookup_host};

use super::ServerError;

/// What protects a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Safety {
    /// Callers are told apart by what they show.
    pub(super) told: bool,
    pub(super) tls: bool,
    /// The operator wants it without.
    pub(super) insecure: bool,
}

/// Resolves and checks `address`, then listens on it.
pub(super) async fn listen(address: &str, safety: Safety) -> Result<TcpListener, ServerError> {
    let failed = |message: String| ServerError::Bind { address: address.to_owned(), message };
    let mut found = lookup_host(address).await.map_err(|error| failed(format!("{error}; write `host:port`")))?;
    let resolved = found.next().ok_or_else(|| failed("the name has no address".into()))?;
    check(resolved, safety)?;
    TcpListener::bind(resolved).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => failed("the port is in use: end the other program, or choose another port".into()),
        ErrorKind::PermissionDenied => failed("ports below 1024 need rights this process lacks".into()),
        _ => failed(error.to_string()),
    })
}

/// Beyond loopback, callers must show who they are, and what they show must not travel in the clear,
/// unless somebody says that he knows.
fn check(address: SocketAddr, safety: Safety) -> Result<(), ServerError> {
    if address.ip().to_canonical().is_loopback() || (safety.told && safety.tls) {
        return Ok(());
    }
    let mut missing = Vec::new();
    if !safety.told {
        missing.push("callers are not told apart: name a token file, an OIDC issuer or client certificates");
    }
    if !safety.tls {
        missing.push("nothing is encrypted: set `tls.cert` and `tls.key` of the server");
    }
    let missing = missing.join("; ");
    if safety.insecure {
        let open =
            if safety.told { "what callers show travels in the clear" } else { "WHOEVER REACHES IT MAY DO EVERYTHING" };
        tracing::warn!(%address, "INSECURE, as told: serving beyond loopback although {missing}; {open}");
        return Ok(());
    }
    let reason = format!("{missing}; or say `insecure`, or serve on 127.0.0.1 only");
    Err(ServerError::Unprotected { address, reason })
}
