//! Who calls, and what they may do.

mod principal;
mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::HeaderMap;
use gristmill_types::ErrorCode;

pub use principal::Principal;
pub use tokens::{Tokens, TokensError, token_hash};

use crate::error::Problem;

/// Metadata with which a service says for whom it calls.
pub const ON_BEHALF_OF: &str = "gristmill-on-behalf-of";

/// How callers over the network are told.
#[derive(Debug, Clone)]
pub enum Auth {
    /// No tokens: whoever can connect from this machine is its owner. Only for the all-in-one, only on
    /// loopback; [`crate::Server::serve`] refuses any other address.
    LoopbackOnly,
    /// Bearer tokens whose hashes are in a file.
    Tokens(Arc<Tokens>),
}

impl Auth {
    /// Whether callers must show a token.
    pub const fn needs_token(&self) -> bool {
        matches!(self, Self::Tokens(_))
    }

    /// Tells who calls from `peer` with `headers`. `None` when no token is shown and one is needed:
    /// such a caller may only use what is public.
    pub(crate) fn identify(
        &self,
        peer: Option<SocketAddr>,
        headers: &HeaderMap,
    ) -> Result<Option<Arc<Principal>>, Problem> {
        let direct = match self {
            Self::LoopbackOnly => {
                if !peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback()) {
                    let message = "this server answers only callers on its own machine";
                    return Err(Problem::new(ErrorCode::Unauthenticated, "NOT_LOOPBACK", message));
                }
                Principal::local()
            }
            Self::Tokens(tokens) => match bearer(headers) {
                None => return Ok(None),
                Some(token) => tokens.find(token).ok_or_else(unknown_token)?,
            },
        };
        let Some(name) = headers.get(ON_BEHALF_OF) else { return Ok(Some(direct)) };
        if !direct.is_service() {
            let message = "only a service may call on behalf of somebody else";
            return Err(Problem::new(ErrorCode::PermissionDenied, "NOT_A_SERVICE", message));
        }
        let unknown = || {
            let message = "the principal this call is on behalf of is not known here";
            Problem::new(ErrorCode::PermissionDenied, "UNKNOWN_PRINCIPAL", message)
        };
        let name = name.to_str().map_err(|_| unknown())?;
        let other = match self {
            Self::LoopbackOnly => direct.named(name),
            Self::Tokens(tokens) => tokens.named(name).ok_or_else(unknown)?.as_ref().clone(),
        };
        Ok(Some(Arc::new(other.via(direct.name()))))
    }
}

/// The token after `authorization: Bearer `, if there is one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(::http::header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unknown_token() -> Problem {
    let message = "the token is not known here: ask an administrator for one";
    Problem::new(ErrorCode::Unauthenticated, "UNKNOWN_TOKEN", message)
}

pub(crate) fn no_token() -> Problem {
    let message = "a token is needed: send `authorization: Bearer <token>`";
    Problem::new(ErrorCode::Unauthenticated, "NO_TOKEN", message)
}
