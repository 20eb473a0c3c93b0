//! The guard before every service: admission, identity, rights, deadline, panics, counting.

mod body;
pub(crate) mod deadline;
mod grpc;
pub(crate) mod hosts;
mod http;
pub(crate) mod trace;

use std::any::Any;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, Uri};
use gristmill_runtime::Shutdown;
use gristmill_types::{ErrorCode, Permission};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

pub(crate) use body::trailers;
pub(crate) use grpc::GrpcGuard;
pub(crate) use http::HttpGuard;

use crate::auth::{Auth, Principal, Shown, Standing, no_token};
use crate::caller::Caller;
use crate::error::{Problem, correlation_id};
use crate::metrics::CallMetrics;

/// How long a caller that met the limit of concurrent calls is told to wait.
const BUSY_DELAY: Duration = Duration::from_millis(200);

/// Marks a request that came through a local channel, with its caller. Extensions do not travel over
/// a network, so no remote caller can make one.
#[derive(Debug, Clone)]
pub(crate) struct LocalCall(pub(crate) Arc<Principal>);

/// Whom a connection came from; set by the accept loop.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The names in the client's certificate, which the handshake has checked.
    pub(crate) names: Arc<[String]>,
}

/// What all guards of one server share.
#[derive(Debug)]
pub(crate) struct Gate {
    /// How network callers are told.
    pub(crate) auth: Auth,
    /// Without any telling, callers from other machines are taken too, as the operator said.
    pub(crate) insecure: bool,
    /// Permission by path; a path that is not here does not exist (I9, deny by default).
    pub(crate) permissions: BTreeMap<&'static str, Permission>,
    pub(crate) metrics: CallMetrics,
    /// One permit per call under way.
    pub(crate) calls: Arc<Semaphore>,
    /// Most calls under way, for the message.
    pub(crate) max_calls: usize,
    /// Hosts that requests may name.
    pub(crate) hosts: hosts::Hosts,
    /// Set when the drain starts: no new calls from outside.
    pub(crate) shutdown: Shutdown,
    /// Cancelled when the drain's grace is over: calls under way end.
    pub(crate) cutoff: CancellationToken,
}

impl Gate {
    /// Lets a call in, or says why not: no new calls while draining, and no more than the limit.
    /// Local calls always pass: they are steps of work that is already under way, and waiting for
    /// themselves would be a deadlock.
    fn admit(&self, local: bool) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        if local {
            return Ok(None);
        }
        if self.shutdown.is_requested() {
            return Err(draining());
        }
        match Arc::clone(&self.calls).try_acquire_owned() {
            Ok(permit) => Ok(Some(permit)),
            Err(_) => {
                let message = format!("the server already handles {} calls, its limit: wait and retry", self.max_calls);
                let problem = Problem::new(ErrorCode::ResourceExhausted, "TOO_MANY_CALLS", message);
                Err(problem.with("limit", self.max_calls).retry_after(BUSY_DELAY))
            }
        }
    }

    /// Identifies the caller of a request and checks that it may use `permission` at all; in which
    /// project is asked by the handler (`Caller::project`). With the caller comes what ends its call
    /// early: what it showed may expire or be revoked.
    async fn authorize(
        &self,
        permission: Permission,
        extensions: &::http::Extensions,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(Caller, Option<Standing>), Problem> {
        let (principal, standing) = match extensions.get::<LocalCall>() {
            Some(LocalCall(principal)) => (Arc::clone(principal), None),
            None => {
                self.hosts.check(uri, headers)?;
                let shown = Shown::of(extensions.get::<Peer>(), headers, self.insecure)?;
                match self.auth.identify(&shown).await? {
                    Some(known) => {
                        let standing = self.auth.standing(shown, &known);
                        (known.principal, standing)
                    }
                    None if permission == Permission::Public => (Principal::anonymous(), None),
                    None => return Err(no_token()),
                }
            }
        };
        let may = principal.may_somewhere(permission);
        let until = deadline::read(headers);
        let caller = Caller::new(principal, permission, until, headers.get(trace::TRACEPARENT).cloned());
        if may { Ok((caller, standing)) } else { Err(caller.denied(None)) }
    }
}

pub(crate) fn draining() -> Problem {
    Problem::new(ErrorCode::Unavailable, "DRAINING", "the server is ending: connect again in a moment")
        .retry_after(Duration::from_secs(1))
}

pub(crate) fn out_of_time() -> Problem {
    Problem::new(
        ErrorCode::DeadlineExceeded,
        "DEADLINE",
        "the call's own time limit has passed: allow more, or ask for less",
    )
}

/// Reports a panic and makes what the caller is told of it.
fn panicked(method: &str, panic: &(dyn Any + Send)) -> Problem {
    let id = correlation_id();
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
    tracing::error!(correlation_id = %id, method, panic = text, "handler panicked");
    Problem::internal_as("PANIC", &id)
}
