//! A call to a server over the network: sent to a live replica, in time, and again where that is safe.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::http::request::Parts;
use ::http::uri::{Authority, Scheme};
use ::http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use gristmill_types::{Secret, SecretRef};
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::answer::{Answer, broken};
use super::config::{Endpoint, Host, RemoteConfig, seconds};
use super::connect::Target;
use super::pool::Pool;
use super::repeat::{may_repeat, names_itself};
use super::resolve::Resolve;
use super::retry::{Budget, pause};
use crate::call::{deadline, out_of_time};
use crate::error::Problem;
use crate::tls::{ClientTls, Fault, Reloading};

/// How often a call that never left is handed to another connection.
const HANDOVERS: usize = 4;
/// Spoken inside TLS.
const PROTOCOL: &[u8] = b"h2";

/// One server, whatever replicas it has.
#[derive(Debug)]
pub(super) struct Remote {
    pool: Arc<Pool>,
    scheme: Scheme,
    authority: Authority,
    token: Token,
    budget: Budget,
    attempts: u32,
}

/// What the calls show.
#[derive(Debug)]
enum Token {
    None,
    Fixed(HeaderValue),
    File(Reloading<HeaderValue, Problem>),
}

/// What became of one attempt.
enum Outcome {
    Answered(Response<Body>),
    /// UNAVAILABLE: what to answer if nothing else comes, and how long the server asks to wait.
    Away(Response<Body>, Option<Duration>),
    /// The same for good: settings must change first.
    Refused(Response<Body>),
}

impl Remote {
    pub(super) fn open(
        config: &RemoteConfig,
        token: Option<&Secret>,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, Problem> {
        let endpoint = Endpoint::parse(config)?;
        let wrong_tls = |error: crate::tls::TlsError| Problem::invalid("INVALID_TLS", error.to_string());
        let tls = endpoint.tls.then(|| ClientTls::open(&config.tls, PROTOCOL)).transpose().map_err(wrong_tls)?;
        let authority = endpoint
            .authority
            .parse()
            .map_err(|_| Problem::invalid("INVALID_ENDPOINT", format!("`{}` is not an address", endpoint.text)))?;
        let target = Target {
            text: endpoint.text,
            tls,
            domain: config.tls.domain.clone(),
            connect_timeout: seconds(config.connect_seconds),
            keep_alive: seconds(config.keep_alive_seconds),
        };
        let token = Token::open(token, config.token.as_ref())?;
        let near = |host: &Host| host.name == "localhost" || host.name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if !endpoint.tls && !matches!(token, Token::None) && !endpoint.hosts.iter().all(near) {
            tracing::warn!(server = target.text, "the token travels in the clear: write `https://`");
        }
        let pool = Pool::new(target, endpoint.hosts, resolver, seconds(config.resolve_seconds));
        Ok(Self {
            pool: Arc::new(pool),
            scheme: if endpoint.tls { Scheme::HTTPS } else { Scheme::HTTP },
            authority,
            token,
            budget: Budget::default(),
            attempts: config.attempts.max(1),
        })
    }

    /// Sends a call and answers its response; what fails on the way is a response too.
    pub(super) async fn call(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let until = deadline::read(request.headers());
        let answer = self.attempts(request, until);
        match until {
            None => answer.await,
            Some(until) => match timeout_at(until, answer).await {
                Ok(response) => response,
                Err(_) => Status::from(out_of_time()).into_http(),
            },
        }
    }

    async fn attempts(&self, request: Request<Body>, until: Option<Instant>) -> Response<Body> {
        if self.attempts == 1 || !may_repeat(request.uri().path()) {
            return self.once(request, until).await.response();
        }
        let (parts, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(status) => return status.into_http(),
        };
        let most = if names_itself(parts.uri.path(), &body) { self.attempts } else { 1 };
        let mut retry = 0;
        loop {
            let request = Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
            let (response, wish) = match self.once(request, until).await {
                Outcome::Away(response, wish) => (response, wish),
                ended => {
                    self.budget.success();
                    return ended.response();
                }
            };
            let allowed = self.budget.failure();
            let Some(pause) = pause(retry, wish).filter(|_| allowed && retry + 1 < most) else { return response };
            // No use in waiting for a deadline: what is known now says more.
            if until.is_some_and(|until| Instant::now() + pause >= until) {
                return response;
            }
            tracing::debug!(path = parts.uri.path(), retry, pause_ms = pause.as_millis() as u64, "call is sent again");
            sleep(pause).await;
            retry += 1;
        }
    }

    /// Sends a call once. One that never left the process (its connection was ending) goes to another
    /// connection, whatever the rpc.
    async fn once(&self, request: Request<Body>, until: Option<Instant>) -> Outcome {
        let (mut parts, body) = request.into_parts();
        if let Err(problem) = self.address(&mut parts, until) {
            return Outcome::Refused(Status::from(problem).into_http());
        }
        let mut request = Request::from_parts(parts, body);
        let mut last = None;
        for _ in 0..HANDOVERS {
            let (mut connection, under_way) = match self.pool.pick().await {
                Ok(picked) => picked,
                Err(fault) => return away(fault),
            };
            match connection.send.try_send_request(request).await {
                Ok(response) => {
                    under_way.answered();
                    let deadline = until.map(|until| Box::pin(tokio::time::sleep_until(until)));
                    return judge(response.map(|body| Body::new(Answer::new(body, connection, deadline, under_way))));
                }
                Err(mut error) => {
                    let back = error.take_message();
                    match broken(error.into_error(), &connection) {
                        Ok(status) if back.is_none() => return judge(status.into_http()),
                        Ok(_) => {}
                        Err(fault) => {
                            under_way.broke(&fault);
                            last = Some(fault);
                        }
                    }
                    match (back, last.as_ref().is_some_and(|fault| fault.lasting)) {
                        (Some(unsent), false) => request = unsent,
                        _ => break,
                    }
                }
            }
        }
        away(last.unwrap_or_else(|| Fault::passing("CONNECTION_LOST", "no connection lasted long enough".into())))
    }

    /// Writes server, token and the time that is left into a request.
    fn address(&self, parts: &mut Parts, until: Option<Instant>) -> Result<(), Problem> {
        let mut uri = std::mem::take(&mut parts.uri).into_parts();
        uri.scheme = Some(self.scheme.clone());
        uri.authority = Some(self.authority.clone());
        parts.uri = Uri::from_parts(uri).map_err(|_| Problem::invalid("INVALID_PATH", "the rpc's path is none"))?;
        parts
            .headers
            .insert(header::USER_AGENT, HeaderValue::from_static(concat!("gristmill/", env!("CARGO_PKG_VERSION"))));
        if let Some(token) = self.token.header() {
            parts.headers.insert(header::AUTHORIZATION, token);
        }
        if let Some(left) = until.map(|until| until.saturating_duration_since(Instant::now()))
            && let Ok(value) = HeaderValue::from_str(&deadline::format(left))
        {
            parts.headers.insert(deadline::GRPC_TIMEOUT, value);
        }
        Ok(())
    }
}

impl Outcome {
    fn response(self) -> Response<Body> {
        match self {
            Self::Answered(response) | Self::Away(response, _) | Self::Refused(response) => response,
        }
    }
}

fn away(fault: Fault) -> Outcome {
    let lasting = fault.lasting;
    let response = Status::from(fault.problem()).into_http();
    if lasting { Outcome::Refused(response) } else { Outcome::Away(response, None) }
}

/// Tells UNAVAILABLE from everything else, by gRPC's status or a proxy's.
fn judge(response: Response<Body>) -> Outcome {
    let proxy = [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::Unavailable => {
            let wish = status.get_details_retry_info().and_then(|info| info.retry_delay);
            Outcome::Away(response, wish)
        }
        None if proxy.contains(&response.status()) => Outcome::Away(response, None),
        _ => Outcome::Answered(response),
    }
}

impl Token {
    fn open(given: Option<&Secret>, named: Option<&SecretRef>) -> Result<Self, Problem> {
        if let Some(secret) = given {
            return bearer(secret).map(Self::Fixed);
        }
        match named {
            None => Ok(Self::None),
            Some(reference @ SecretRef::Env(_)) => resolve(reference).map(Self::Fixed),
            Some(reference @ SecretRef::File(path)) => {
                let reference = reference.clone();
                Reloading::open(vec![PathBuf::from(path)], move || resolve(&reference)).map(Self::File)
            }
        }
    }

    fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Fixed(value) => Some(value.clone()),
            Self::File(file) => Some(file.get().as_ref().clone()),
        }
    }
}

fn resolve(reference: &SecretRef) -> Result<HeaderValue, Problem> {
    let secret = gristmill_runtime::config::resolve(reference);
    bearer(&secret.map_err(|error| Problem::invalid("INVALID_TOKEN", error.to_string()))?)
}

fn bearer(token: &Secret) -> Result<HeaderValue, Problem> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| Problem::invalid("INVALID_TOKEN", "the token has characters that cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}
