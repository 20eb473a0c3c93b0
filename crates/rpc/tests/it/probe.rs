//! A service that misbehaves on request, written as generated code would be.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{Stream, StreamExt, stream};
use gristmill_rpc::{Caller, Channel, Problem, Request, Response, Status};
use gristmill_types::{ErrorCode, Permission};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, http};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// What the probe's rpcs need.
pub(super) const PERMISSIONS: &[(&str, Permission)] = &[
    ("/gristmill.test.Probe/Unary", Permission::Read),
    ("/gristmill.test.Probe/Stream", Permission::Read),
    ("/gristmill.test.Probe/Who", Permission::WriteTraining),
    ("/gristmill.test.Probe/Forward", Permission::Read),
];

/// Answers texts: `Unary` by the text's word, `Stream` likewise after one item, `Who` names its caller,
/// `Forward` asks `Who` on behalf of its caller.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// The way to itself, as a stage has to others.
    pub(super) next: Channel,
}

impl tonic::server::NamedService for Probe {
    const NAME: &'static str = "gristmill.test.Probe";
}

type Items = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

async fn unary(request: Request<String>) -> Result<Response<String>, Status> {
    match request.get_ref().as_str() {
        "panic" => panic!("a handler's panic with {}", "a secret path /etc"),
        "hang" => std::future::pending().await,
        "wrong" => Err(Problem::invalid("NOT_GROUND", "the grain is wet").violation("grain.water", "dry it").into()),
        "headers" => {
            let headers = request.metadata();
            let text = |name: &str| headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
            Ok(Response::new(format!("{} {}", text("grpc-timeout"), text("traceparent"))))
        }
        text => Ok(Response::new(text.to_uppercase())),
    }
}

async fn items(request: Request<String>) -> Result<Response<Items>, Status> {
    let first = stream::iter([Ok("first".to_owned())]);
    let rest: Items = match request.get_ref().as_str() {
        // Pending once, so that the first item has left: what is still in tonic's buffer dies with a panic.
        "panic" => Box::pin(stream::once(async {
            tokio::task::yield_now().await;
            panic!("a stream's panic")
        })),
        "hang" => Box::pin(stream::pending()),
        "wrong" => Box::pin(stream::iter([Err(Problem::new(ErrorCode::Aborted, "STONE_BROKE", "again").into())])),
        _ => Box::pin(stream::iter([Ok("second".to_owned())])),
    };
    Ok(Response::new(Box::pin(first.chain(rest))))
}

async fn who(request: Request<String>) -> Result<Response<String>, Status> {
    let caller = Caller::of(&request)?;
    let project = caller.project(request.get_ref())?;
    Ok(Response::new(format!("{} in {project}", caller.principal().audit_name())))
}

async fn forward(next: Channel, request: Request<String>) -> Result<Response<String>, Status> {
    let caller = Caller::of(&request)?;
    match request.get_ref().strip_prefix("headers") {
        Some(_) => send(&next, "Unary", caller.request("headers".to_owned())).await.map(Response::new),
        None => send(&next, "Who", caller.request(request.get_ref().clone())).await.map(Response::new),
    }
}

impl tower::Service<http::Request<Body>> for Probe {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let next = self.next.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, String>::default());
            Ok(match request.uri().path() {
                "/gristmill.test.Probe/Unary" => grpc.unary(service_fn(unary), request).await,
                "/gristmill.test.Probe/Stream" => grpc.server_streaming(service_fn(items), request).await,
                "/gristmill.test.Probe/Who" => grpc.unary(service_fn(who), request).await,
                "/gristmill.test.Probe/Forward" => {
                    grpc.unary(service_fn(move |request| forward(next.clone(), request)), request).await
                }
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

/// Calls a unary rpc of the probe.
pub(super) async fn call(channel: &Channel, rpc: &str, text: &str) -> Result<String, Status> {
    send(channel, rpc, Request::new(text.to_owned())).await
}

pub(super) async fn send(channel: &Channel, rpc: &str, request: Request<String>) -> Result<String, Status> {
    path(channel, &format!("/gristmill.test.Probe/{rpc}"), request).await
}

/// Calls a unary rpc by its full path, with a text as its message.
pub(super) async fn path(channel: &Channel, path: &str, request: Request<String>) -> Result<String, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = ProstCodec::<String, String>::default();
    grpc.unary(request, path.parse().unwrap(), codec).await.map(Response::into_inner)
}

/// Calls the probe's stream and collects what comes.
pub(super) async fn collect(
    channel: &Channel,
    request: Request<String>,
) -> Result<Vec<Result<String, Status>>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = ProstCodec::<String, String>::default();
    let path = "/gristmill.test.Probe/Stream".parse().unwrap();
    Ok(grpc.server_streaming(request, path, codec).await?.into_inner().collect().await)
}
