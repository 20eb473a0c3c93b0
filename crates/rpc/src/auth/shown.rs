//! What a caller shows of itself.

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::{HeaderMap, header};
use gristmill_types::{ErrorCode, Secret};

use super::{INITIATED_BY, Known, ON_BEHALF_OF, ON_BEHALF_RIGHTS, Principal, Rights};
use crate::call::Peer;
use crate::error::Problem;

/// A request's own words and its connection's, kept to be judged again while the call lasts.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    address: Option<SocketAddr>,
    /// Any address is as good as this machine's.
    anywhere: bool,
    bearer: Option<Secret>,
    /// Names of the client's certificate.
    names: Arc<[String]>,
    speaks_for: Option<SpeaksFor>,
}

#[derive(Debug, Clone)]
enum SpeaksFor {
    /// With that principal's rights, which are known here or given.
    Behalf { name: String, rights: Option<Rights> },
    /// With the service's own.
    Initiated { name: String },
}

impl Shown {
    /// # Errors
    /// PERMISSION_DENIED when the words about somebody else cannot be read.
    pub(crate) fn of(peer: Option<&Peer>, headers: &HeaderMap, anywhere: bool) -> Result<Self, Problem> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().map_err(|_| unknown_principal()));
        let behalf = text(ON_BEHALF_OF).transpose()?;
        let initiated = text(INITIATED_BY).transpose()?;
        let speaks_for = match (behalf, initiated) {
            (Some(name), _) => {
                let rights = text(ON_BEHALF_RIGHTS).transpose()?.map(Rights::parse).transpose();
                let rights =
                    rights.map_err(|message| Problem::new(ErrorCode::PermissionDenied, "INVALID_RIGHTS", message))?;
                Some(SpeaksFor::Behalf { name: name.to_owned(), rights })
            }
            (None, Some(name)) => Some(SpeaksFor::Initiated { name: name.to_owned() }),
            (None, None) => None,
        };
        Ok(Self {
            address: peer.map(|peer| peer.address),
            anywhere,
            bearer: bearer(headers).map(Secret::new),
            names: peer.map_or_else(|| Arc::from([]), |peer| Arc::clone(&peer.names)),
            speaks_for,
        })
    }

    pub(super) fn is_near(&self) -> bool {
        self.anywhere || self.address.is_some_and(|address| address.ip().to_canonical().is_loopback())
    }

    pub(super) fn bearer(&self) -> Option<&str> {
        self.bearer.as_ref().map(Secret::expose)
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// For whom `direct` calls, if it may speak for others. `owner`: it is the machine's owner, who may
    /// call anybody anything.
    pub(super) fn speaks_for(
        &self,
        direct: Known,
        named: impl Fn(&str) -> Option<Arc<Principal>>,
        owner: bool,
    ) -> Result<Known, Problem> {
        let Some(speaks_for) = &self.speaks_for else { return Ok(direct) };
        let service = &direct.principal;
        if !service.is_service() {
            let message = "only a service may call on behalf of somebody else";
            return Err(Problem::new(ErrorCode::PermissionDenied, "NOT_A_SERVICE", message));
        }
        let other = match speaks_for {
            SpeaksFor::Initiated { name } => service.named(name),
            SpeaksFor::Behalf { name, .. } if owner => service.named(name),
            SpeaksFor::Behalf { name, rights: Some(rights) } => service.lends(name, rights),
            SpeaksFor::Behalf { name, rights: None } => named(name).ok_or_else(unknown_principal)?.as_ref().clone(),
        };
        Ok(Known { principal: Arc::new(other.via(service.name())), ..direct })
    }
}

fn unknown_principal() -> Problem {
    let message = "the principal this call is on behalf of is not known here";
    Problem::new(ErrorCode::PermissionDenied, "UNKNOWN_PRINCIPAL", message)
}

/// The token after `authorization: Bearer `, if there is one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
