//! Spans reach a collector, and a collector that is down hurts nobody.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use gristmill_runtime::telemetry::{LogFormat, TelemetryConfig, init};
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, http};
use tonic::server::NamedService;

/// An OTLP collector that reports the length of every body it gets.
#[derive(Clone)]
struct Collector(mpsc::UnboundedSender<usize>);

impl NamedService for Collector {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl tonic::codegen::Service<http::Request<Body>> for Collector {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let sent = self.0.clone();
        Box::pin(async move {
            let length = request.headers().get("content-length").and_then(|v| v.to_str().ok()?.parse().ok());
            let _gone = sent.send(length.unwrap_or(1));
            let response = http::Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", "0")
                .body(Body::empty());
            Ok(response.unwrap())
        })
    }
}

// One test, since a process has one subscriber.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_are_exported_and_a_dead_collector_does_not_hurt() {
    let bad = TelemetryConfig { log: "=[".into(), ..TelemetryConfig::default() };
    assert!(init("gristmill", &bad, None).unwrap_err().to_string().contains("log filter `=[`"));

    let (sent, mut received) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = tonic::transport::Server::builder().add_service(Collector(sent)).serve_with_incoming(incoming);
    let server = tokio::spawn(server);

    let config = TelemetryConfig { log: "warn".into(), log_format: LogFormat::Json };
    let telemetry = init("gristmill", &config, Some(&format!("http://{address}"))).unwrap();
    tracing::info_span!(target: "gristmill_test", "milling").in_scope(|| tracing::info!("turning"));
    tokio::task::spawn_blocking(move || drop(telemetry)).await.unwrap();
    assert!(received.recv().await.unwrap() > 0);
    server.abort();

    assert!(init("gristmill", &config, None).unwrap_err().to_string().contains("already set up"));

    // Port 9 on loopback: nobody listens. The exporter is built, nothing waits for it.
    let began = Instant::now();
    tracing::info_span!(target: "gristmill_test", "still milling").in_scope(|| ());
    assert!(began.elapsed() < Duration::from_secs(1));
}
