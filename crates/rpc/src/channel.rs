//! One channel type for calls inside the process and over the network.

mod answer;
mod config;
mod connect;
mod pool;
mod remote;
mod repeat;
mod resolve;
mod retry;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use ::http::HeaderValue;
use futures::future::BoxFuture;
use gristmill_types::{ErrorCode, Secret};
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;

pub use config::RemoteConfig;
pub use resolve::{Resolve, SystemResolver};

use crate::auth::{INITIATED_BY, ON_BEHALF_OF, ON_BEHALF_RIGHTS, Principal};
use crate::call::{LocalCall, trace};
use crate::caller::OnBehalfOf;
use crate::error::Problem;
use remote::Remote;

/// Where a generated client sends its requests. Cheap to clone.
#[derive(Clone)]
pub struct Channel {
    transport: Transport,
    /// Who caused the calls, for the audit of those who are called.
    initiator: Option<HeaderValue>,
}

/// The two ways of a request.
#[derive(Clone)]
enum Transport {
    /// To the routes of this process's own server, as a principal.
    Local(LocalRoutes, Arc<Principal>),
    /// Over HTTP/2.
    Remote(Arc<Remote>),
}

/// The routes behind local channels: stages get their channels before the server exists, since each
/// needs the others; the server fills this in once, when it is built.
#[derive(Clone, Default)]
pub struct LocalRoutes(Arc<OnceLock<Routes>>);

impl LocalRoutes {
    /// No routes yet: calls are answered UNAVAILABLE.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the channels made from it. A second call changes nothing and says so.
    pub fn open(&self, server: &crate::Server) -> bool {
        self.0.set(server.routes()).is_ok()
    }

    /// A channel that calls as the service `name` of this process.
    pub fn channel(&self, name: &str) -> Channel {
        self.channel_as(Arc::new(Principal::service(name)))
    }

    /// A channel that calls as `principal`.
    pub fn channel_as(&self, principal: Arc<Principal>) -> Channel {
        Channel { transport: Transport::Local(self.clone(), principal), initiator: None }
    }
}

impl fmt::Debug for LocalRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalRoutes(open: {})", self.0.get().is_some())
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.transport {
            Transport::Local(_, principal) => write!(f, "Channel(local as {})", principal.name()),
            Transport::Remote(_) => f.write_str("Channel(remote)"),
        }
    }
}

impl Channel {
    /// A channel to `endpoint` (`http://host:port`) with everything else by default. Connections come
    /// about when they are first used and again when they are lost. Calls must be made inside the tokio
    /// runtime.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when `endpoint` is no such address or the token has a character that cannot
    /// travel.
    pub fn remote(endpoint: &str, token: Option<&Secret>) -> Result<Self, Problem> {
        let config = RemoteConfig::new(endpoint);
        Remote::open(&config, token, Arc::new(SystemResolver)).map(Self::over)
    }

    /// A channel to what `config` describes.
    ///
    /// # Errors
    /// INVALID_ARGUMENT names the address, the token or the TLS file that cannot be used.
    pub fn open(config: &RemoteConfig) -> Result<Self, Problem> {
        Self::with_resolver(config, Arc::new(SystemResolver))
    }

    /// The same with addresses from `resolver`.
    ///
    /// # Errors
    /// As [`Channel::open`].
    pub fn with_resolver(config: &RemoteConfig, resolver: Arc<dyn Resolve>) -> Result<Self, Problem> {
        Remote::open(config, None, resolver).map(Self::over)
    }

    /// The same way, for calls that a service makes with its own rights because `actor` asked for
    /// something earlier: the steps of a run, long after the call that started it. Audits of those who
    /// are called see `actor via service`. A name that cannot travel is left out.
    #[must_use]
    pub fn initiated_by(&self, actor: Option<&str>) -> Self {
        let initiator = actor.and_then(|actor| HeaderValue::from_str(actor).ok());
        Self { initiator, ..self.clone() }
    }

    fn over(remote: Remote) -> Self {
        Self { transport: Transport::Remote(Arc::new(remote)), initiator: None }
    }

    /// Whether calls stay in this process.
    pub const fn is_local(&self) -> bool {
        matches!(self.transport, Transport::Local(..))
    }
}

/// A call that did not reach a server.
pub type TransportError = Box<dyn std::error::Error + Send + Sync>;

impl Service<::http::Request<Body>> for Channel {
    type Response = ::http::Response<Body>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Self::Response, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        // A remote call waits for its connection itself: its deadline covers that too.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: ::http::Request<Body>) -> Self::Future {
        trace::inject(request.headers_mut());
        if let Some(initiator) = &self.initiator {
            request.headers_mut().insert(INITIATED_BY, initiator.clone());
        }
        match &self.transport {
            Transport::Local(routes, principal) => {
                let Some(mut routes) = routes.0.get().cloned() else {
                    return Box::pin(async { Ok(not_started()) });
                };
                let caller = local_caller(principal, &mut request);
                request.extensions_mut().insert(LocalCall(caller));
                Box::pin(async move { routes.call(request).await.map_err(|never| match never {}) })
            }
            Transport::Remote(remote) => {
                let remote = Arc::clone(remote);
                Box::pin(async move { Ok(remote.call(request).await) })
            }
        }
    }
}

/// Who calls in this process: the channel's own principal, for another one if the request says so.
fn local_caller(own: &Arc<Principal>, request: &mut ::http::Request<Body>) -> Arc<Principal> {
    let headers = request.headers_mut();
    headers.remove(ON_BEHALF_OF);
    headers.remove(ON_BEHALF_RIGHTS);
    let initiator = headers.remove(INITIATED_BY);
    if let Some(OnBehalfOf(other)) = request.extensions_mut().remove::<OnBehalfOf>() {
        return Arc::new(other.as_ref().clone().via(own.name()));
    }
    match initiator.as_ref().and_then(|name| name.to_str().ok()) {
        Some(name) => Arc::new(own.named(name).via(own.name())),
        None => Arc::clone(own),
    }
}

fn not_started() -> ::http::Response<Body> {
    let message = "the stages of this process are still starting: try again";
    tonic::Status::from(Problem::new(ErrorCode::Unavailable, "NOT_STARTED", message)).into_http()
}
