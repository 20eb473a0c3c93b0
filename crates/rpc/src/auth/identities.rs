//! Everybody a server can tell: by token, by an issuer's word, by certificate; followed while they change.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use gristmill_runtime::Process;
use gristmill_types::{Clock, ErrorCode, Micros};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::jwt::looks_signed;
use super::oidc::{Oidc, Refused, expired};
use super::{Known, OidcConfig, Principal, Shown, Tokens, TokensError, unknown_token};
use crate::error::Problem;
use crate::tls::Reloading;

/// How often token file and keys are looked at: how long a revoked token still opens things.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How callers of a server are told. Nothing set: only callers of this machine are answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// File of token hashes.
    pub tokens: Option<PathBuf>,
    /// An issuer of signed tokens.
    pub oidc: OidcConfig,
    /// Names in client certificates (DNS or URI, such as `spiffe://mill/training`), each with the
    /// principal of the token file that it stands for.
    pub certificates: BTreeMap<String, String>,
}

/// Settings of who is told that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The token file.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The issuer.
    #[error("auth.oidc: {0}")]
    Oidc(String),
    /// The certificates.
    #[error("auth.certificates: {0}")]
    Certificates(String),
}

/// Ready once a call must end because of who makes it, with what to say.
pub(crate) type Standing = Pin<Box<dyn Future<Output = Problem> + Send>>;

/// Tokens, an issuer, certificates.
#[derive(Debug)]
pub struct Identities {
    tokens: Option<Reloading<Tokens, TokensError>>,
    oidc: Option<Oidc>,
    certificates: BTreeMap<String, String>,
    clock: Arc<dyn Clock>,
    /// Counts changes of what is known.
    changes: watch::Sender<u64>,
}

impl AuthConfig {
    /// Reads what is configured and follows it until the process ends or nobody uses it any more.
    ///
    /// # Errors
    /// [`AuthError`] names the setting, the file or the entry.
    pub async fn open(&self, process: &Process) -> Result<super::Auth, AuthError> {
        if *self == Self::default() {
            return Ok(super::Auth::LoopbackOnly);
        }
        let read = |path: &PathBuf| {
            let file = path.clone();
            Reloading::open(vec![path.clone()], move || Tokens::read(&file))
        };
        let tokens = self.tokens.as_ref().map(read).transpose()?;
        let wrong = AuthError::Certificates;
        match tokens.as_ref().map(Reloading::get) {
            Some(known) => {
                for (certificate, name) in &self.certificates {
                    let unknown = || wrong(format!("`{certificate}`: the token file has no principal `{name}`"));
                    known.named(name).ok_or_else(unknown)?;
                }
            }
            None if self.certificates.is_empty() => {}
            None => return Err(wrong("they stand for principals of a token file: set `auth.tokens`".into())),
        }
        let oidc = Oidc::open(&self.oidc).await.map_err(AuthError::Oidc)?;
        let identities = Arc::new(Identities {
            tokens,
            oidc,
            certificates: self.certificates.clone(),
            clock: Arc::clone(&process.clock),
            changes: watch::Sender::new(0),
        });
        tokio::spawn(follow(Arc::downgrade(&identities), process.shutdown.requested()));
        Ok(super::Auth::Identities(identities))
    }
}

/// Looks for changes until the last user is gone.
async fn follow(identities: Weak<Identities>, end: impl Future<Output = ()>) {
    let looking = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(identities) = identities.upgrade() else { return };
            let tokens = identities.tokens.as_ref().is_some_and(|tokens| tokens.look(Duration::ZERO));
            let keys = match &identities.oidc {
                Some(oidc) => oidc.keys.follow().await,
                None => false,
            };
            if tokens || keys {
                identities.changes.send_modify(|count| *count += 1);
            }
        }
    };
    tokio::select! {
        () = looking => {}
        // Streams that outlive the wish to stop have the drain's grace, and no more.
        () = end => {}
    }
}

impl Identities {
    /// The principal of the token file called `name`.
    pub fn named(&self, name: &str) -> Option<Arc<Principal>> {
        self.tokens.as_ref()?.get_now().named(name)
    }

    /// Who shows this, speaking for itself; keys that are not known are asked for once.
    pub(super) async fn direct(&self, shown: &Shown) -> Result<Option<Known>, Problem> {
        // Counted before: what changes meanwhile is looked at again by whoever stands on it.
        let changes = *self.changes.borrow();
        let known = match self.known(shown) {
            Err(Refused::UnknownKey) => {
                if let Some(oidc) = &self.oidc {
                    oidc.keys.ask_for_unknown().await;
                }
                self.known(shown)
            }
            known => known,
        };
        known.map(|known| known.map(|known| Known { changes, ..known })).map_err(|refused| self.problem(refused))
    }

    fn problem(&self, refused: Refused) -> Problem {
        match refused {
            Refused::Bad(problem) => problem,
            Refused::UnknownKey if self.oidc.as_ref().is_some_and(|oidc| oidc.keys.current().is_none()) => {
                let message = "the token issuer's keys cannot be had at the moment: try again";
                Problem::new(ErrorCode::Unavailable, "KEYS_UNAVAILABLE", message).retry_after(Duration::from_secs(5))
            }
            Refused::UnknownKey => {
                let message = "the token is signed with a key that its issuer does not list: get a new token";
                Problem::new(ErrorCode::Unauthenticated, "TOKEN_KEY", message)
            }
        }
    }

    /// As far as it is known now.
    fn known(&self, shown: &Shown) -> Result<Option<Known>, Refused> {
        let Some(token) = shown.bearer() else { return Ok(self.certified(shown)) };
        if let Some(principal) = self.tokens.as_ref().and_then(|tokens| tokens.get_now().find(token)) {
            return Ok(Some(Known::lasting(principal)));
        }
        match &self.oidc {
            Some(oidc) if looks_signed(token) => {
                let known = oidc.check(token, self.clock.now())?;
                if self.named(known.principal.name()).is_some() {
                    let message = "the token's name is that of a principal of this server's own: set `name_prefix`";
                    return Err(Refused::Bad(Problem::new(ErrorCode::Unauthenticated, "TOKEN_NAME", message)));
                }
                Ok(Some(known))
            }
            _ => Err(Refused::Bad(unknown_token())),
        }
    }

    /// Who has the certificate that the connection was opened with.
    fn certified(&self, shown: &Shown) -> Option<Known> {
        let name = shown.names().iter().find_map(|name| self.certificates.get(name))?;
        self.named(name).map(Known::lasting)
    }

    /// Ready once what was shown is good no more: it has expired, is revoked, or allows less than before.
    pub(super) fn standing(self: Arc<Self>, shown: Shown, known: Known) -> Standing {
        let mut changes = self.changes.subscribe();
        if *changes.borrow_and_update() != known.changes {
            changes.mark_changed();
        }
        Box::pin(async move {
            loop {
                tokio::select! {
                    () = self.passed(known.expires) => return expired(),
                    changed = changes.changed() => {
                        if changed.is_err() || !self.still(&shown, &known) {
                            return revoked();
                        }
                    }
                }
            }
        })
    }

    async fn passed(&self, moment: Option<Micros>) {
        let Some(moment) = moment else { return std::future::pending().await };
        // A clock that was set back makes it wait again.
        while let Ok(left @ 1..) = u64::try_from(moment.saturating_sub(self.clock.now())) {
            tokio::time::sleep(Duration::from_micros(left)).await;
        }
    }

    fn still(&self, shown: &Shown, earlier: &Known) -> bool {
        let now = match self.known(shown) {
            Ok(Some(direct)) => shown.speaks_for(direct, |name| self.named(name), false),
            Ok(None) | Err(_) => return false,
        };
        now.is_ok_and(|now| now.principal.keeps(&earlier.principal))
    }
}

fn revoked() -> Problem {
    let message = "the token was revoked or allows less than when the call began: connect again with another one";
    Problem::new(ErrorCode::Unauthenticated, "TOKEN_REVOKED", message)
}
