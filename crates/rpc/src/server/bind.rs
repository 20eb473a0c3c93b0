//! Listening, and refusing to where it would be unsafe.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::{TcpListener, lookup_host};

use super::ServerError;
use crate::auth::Auth;

/// Resolves and checks `address`, then listens on it.
pub(super) async fn listen(address: &str, auth: &Auth, insecure: bool) -> Result<TcpListener, ServerError> {
    let failed = |message: String| ServerError::Bind { address: address.to_owned(), message };
    let mut found = lookup_host(address).await.map_err(|error| failed(format!("{error}; write `host:port`")))?;
    let resolved = found.next().ok_or_else(|| failed("the name has no address".into()))?;
    check(resolved, auth, insecure)?;
    TcpListener::bind(resolved).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => failed("the port is in use: end the other program, or choose another port".into()),
        ErrorKind::PermissionDenied => failed("ports below 1024 need rights this process lacks".into()),
        _ => failed(error.to_string()),
    })
}

/// Beyond loopback, callers must show tokens, and tokens must not travel in the clear unless somebody
/// says that he knows.
fn check(address: SocketAddr, auth: &Auth, insecure: bool) -> Result<(), ServerError> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if !auth.needs_token() {
        let reason = "callers are not asked for a token here, so only loopback is allowed: name a token file";
        return Err(ServerError::Unprotected { address, reason });
    }
    if !insecure {
        let reason = "tokens would travel without TLS: end TLS in front of a loopback address, or say `insecure`";
        return Err(ServerError::Unprotected { address, reason });
    }
    tracing::warn!(%address, "serving without tls beyond loopback, as told: tokens travel in the clear");
    Ok(())
}
