//! Who calls, and what they may do.

mod identities;
mod jwt;
mod keys;
mod oidc;
mod principal;
mod rights;
mod shown;
mod tokens;

use std::sync::Arc;

use gristmill_types::{ErrorCode, Micros};

pub use identities::{AuthConfig, AuthError, Identities};
pub use jwt::Algorithm;
pub use oidc::OidcConfig;
pub use principal::Principal;
pub use tokens::{Tokens, TokensError, token_hash};

pub(crate) use identities::Standing;
pub(crate) use shown::Shown;

use crate::error::Problem;
use rights::Rights;

/// Metadata with which a service says for whom it calls: the rights are that principal's.
pub const ON_BEHALF_OF: &str = "gristmill-on-behalf-of";

/// Metadata with the rights of a principal that no token file knows (OIDC). They count only as far as the
/// calling service has them itself.
pub const ON_BEHALF_RIGHTS: &str = "gristmill-on-behalf-rights";

/// Metadata with which a service names who caused a call that it makes with its own rights, such as the
/// steps of a pipeline run: both names are for the audit.
pub const INITIATED_BY: &str = "gristmill-initiated-by";

/// How callers over the network are told.
#[derive(Debug, Clone)]
pub enum Auth {
    /// No tokens: whoever can connect from this machine is its owner. Only for the all-in-one, only on
    /// loopback; [`crate::Server::listen`] refuses any other address.
    LoopbackOnly,
    /// Bearer tokens whose hashes are in a file, read once.
    Tokens(Arc<Tokens>),
    /// Tokens, OIDC and client certificates, followed while they change.
    Identities(Arc<Identities>),
}

/// A caller that was told.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) principal: Arc<Principal>,
    /// When what it showed ends by itself.
    pub(crate) expires: Option<Micros>,
    /// How often what is known had changed before it was told.
    changes: u64,
}

impl Known {
    fn lasting(principal: Arc<Principal>) -> Self {
        Self { principal, expires: None, changes: 0 }
    }
}

impl Auth {
    /// Whether callers must show who they are.
    pub const fn tells_callers(&self) -> bool {
        !matches!(self, Self::LoopbackOnly)
    }

    /// Tells who calls. `None` when nothing is shown and something is needed: such a caller may only use
    /// what is public.
    pub(crate) async fn identify(&self, shown: &Shown) -> Result<Option<Known>, Problem> {
        let direct = match self {
            Self::LoopbackOnly if shown.is_near() => Known::lasting(Principal::local()),
            Self::LoopbackOnly => {
                let message = "this server answers only callers on its own machine";
                return Err(Problem::new(ErrorCode::Unauthenticated, "NOT_LOOPBACK", message));
            }
            Self::Tokens(tokens) => match shown.bearer() {
                None => return Ok(None),
                Some(token) => Known::lasting(tokens.find(token).ok_or_else(unknown_token)?),
            },
            Self::Identities(identities) => match identities.direct(shown).await? {
                None => return Ok(None),
                Some(known) => known,
            },
        };
        match self {
            Self::LoopbackOnly => shown.speaks_for(direct, |_| None, true),
            Self::Tokens(tokens) => shown.speaks_for(direct, |name| tokens.named(name), false),
            Self::Identities(identities) => shown.speaks_for(direct, |name| identities.named(name), false),
        }
        .map(Some)
    }

    /// What ends a call of `known` early; nothing where nothing changes.
    pub(crate) fn standing(&self, shown: Shown, known: &Known) -> Option<Standing> {
        match self {
            Self::LoopbackOnly | Self::Tokens(_) => None,
            Self::Identities(identities) => Some(Arc::clone(identities).standing(shown, known.clone())),
        }
    }
}

fn unknown_token() -> Problem {
    let message = "the token is not known here: ask an administrator for one";
    Problem::new(ErrorCode::Unauthenticated, "UNKNOWN_TOKEN", message)
}

pub(crate) fn no_token() -> Problem {
    let message = "a token is needed: send `authorization: Bearer <token>`";
    Problem::new(ErrorCode::Unauthenticated, "NO_TOKEN", message)
}
