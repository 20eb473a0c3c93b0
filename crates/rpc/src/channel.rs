//! One channel type for calls inside the process and over the network.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::HeaderValue;
use futures::future::BoxFuture;
use gristmill_types::{ErrorCode, Secret};
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tower::Service;

use crate::auth::{ON_BEHALF_OF, Principal};
use crate::call::{LocalCall, trace};
use crate::caller::OnBehalfOf;
use crate::error::Problem;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that answers no ping for this long is taken for gone.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Where a generated client sends its requests. Cheap to clone.
#[derive(Clone)]
pub struct Channel {
    transport: Transport,
    identity: Identity,
}

/// The two ways of a request.
#[derive(Clone)]
enum Transport {
    /// To the routes of this process's own server.
    Local(LocalRoutes),
    /// Over HTTP/2.
    Remote(tonic::transport::Channel),
}

/// As whom a channel calls.
#[derive(Clone)]
struct Identity {
    /// For local calls.
    principal: Arc<Principal>,
    /// `Bearer …` for remote ones.
    bearer: Option<HeaderValue>,
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
        let identity = Identity { principal: Arc::new(Principal::service(name)), bearer: None };
        Channel { transport: Transport::Local(self.clone()), identity }
    }

    /// A channel that calls as `principal`.
    pub fn channel_as(&self, principal: Arc<Principal>) -> Channel {
        let identity = Identity { principal, bearer: None };
        Channel { transport: Transport::Local(self.clone()), identity }
    }
}

impl fmt::Debug for LocalRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalRoutes(open: {})", self.0.get().is_some())
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Local(_) => "local",
            Transport::Remote(_) => "remote",
        };
        write!(f, "Channel({transport} as {})", self.identity.principal.name())
    }
}

impl Channel {
    /// A channel to `endpoint` (`http://host:port`) that connects when it is first used and again when
    /// the connection is lost. Must be called inside the tokio runtime.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when `endpoint` is no such address or the token has a character that cannot
    /// travel.
    pub fn remote(endpoint: &str, token: Option<&Secret>) -> Result<Self, Problem> {
        let address = if endpoint.contains("://") { endpoint.to_owned() } else { format!("http://{endpoint}") };
        let wrong = |_| {
            Problem::invalid("INVALID_ENDPOINT", format!("`{endpoint}` is not an address: write `http://host:port`"))
        };
        let transport = Endpoint::from_shared(address)
            .map_err(wrong)?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .connect_lazy();
        let bearer = token.map(|token| HeaderValue::from_str(&format!("Bearer {}", token.expose()))).transpose();
        let mut bearer =
            bearer.map_err(|_| Problem::invalid("INVALID_TOKEN", "the token has characters that cannot be sent"))?;
        if let Some(value) = &mut bearer {
            value.set_sensitive(true);
        }
        let identity = Identity { principal: Principal::anonymous(), bearer };
        Ok(Self { transport: Transport::Remote(transport), identity })
    }

    /// Whether calls stay in this process.
    pub const fn is_local(&self) -> bool {
        matches!(self.transport, Transport::Local(_))
    }
}

/// A call that did not reach a server.
pub type TransportError = Box<dyn std::error::Error + Send + Sync>;

impl Service<::http::Request<Body>> for Channel {
    type Response = ::http::Response<Body>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Self::Response, TransportError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        match &mut self.transport {
            Transport::Local(_) => Poll::Ready(Ok(())),
            Transport::Remote(channel) => channel.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, mut request: ::http::Request<Body>) -> Self::Future {
        trace::inject(request.headers_mut());
        match &mut self.transport {
            Transport::Local(routes) => {
                let Some(mut routes) = routes.0.get().cloned() else {
                    return Box::pin(async { Ok(not_started()) });
                };
                request.headers_mut().remove(ON_BEHALF_OF);
                let caller = match request.extensions_mut().remove::<OnBehalfOf>() {
                    Some(OnBehalfOf(other)) => Arc::new(other.as_ref().clone().via(self.identity.principal.name())),
                    None => Arc::clone(&self.identity.principal),
                };
                request.extensions_mut().insert(LocalCall(caller));
                Box::pin(async move { routes.call(request).await.map_err(|never| match never {}) })
            }
            Transport::Remote(channel) => {
                if let Some(bearer) = &self.identity.bearer {
                    request.headers_mut().insert(::http::header::AUTHORIZATION, bearer.clone());
                }
                let answer = channel.call(request);
                Box::pin(async move { answer.await.map_err(Into::into) })
            }
        }
    }
}

fn not_started() -> ::http::Response<Body> {
    let message = "the stages of this process are still starting: try again";
    tonic::Status::from(Problem::new(ErrorCode::Unavailable, "NOT_STARTED", message)).into_http()
}
