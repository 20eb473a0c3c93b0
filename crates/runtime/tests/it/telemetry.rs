//! Spans reach a collector, and a collector that is down hurts nobody.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use gristmill_runtime::telemetry::{LogFormat, TelemetryConfig, build, init};
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

async fn collector() -> (String, tokio::task::JoinHandle<()>, mpsc::UnboundedReceiver<usize>) {
    let (sent, received) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = tonic::transport::Server::builder().add_service(Collector(sent)).serve_with_incoming(incoming);
    let server = tokio::spawn(async move { server.await.unwrap() });
    (format!("http://{address}"), server, received)
}

fn quiet() -> TelemetryConfig {
    TelemetryConfig { log: "off".into(), log_format: LogFormat::Json }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_reach_the_collector_when_telemetry_ends() {
    let (endpoint, server, mut received) = collector().await;
    let (dispatch, telemetry) = build("gristmill", &quiet(), Some(&endpoint)).unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        tracing::info_span!(target: "gristmill_test", "milling").in_scope(|| tracing::info!("turning"));
    });
    tokio::task::spawn_blocking(move || drop(telemetry)).await.unwrap();
    assert!(received.recv().await.unwrap() > 0);
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_down_or_none_at_all_costs_spans_and_nothing_else() {
    let (endpoint, server, _) = collector().await;
    server.abort();
    let _aborted = server.await;
    for endpoint in [endpoint.as_str(), "not an endpoint", "http://127.0.0.1:9"] {
        let (dispatch, telemetry) = build("gristmill", &quiet(), Some(endpoint)).unwrap();
        let began = Instant::now();
        tracing::dispatcher::with_default(&dispatch, || {
            // More than the exporter's queue holds.
            for _ in 0..5_000 {
                tracing::info_span!(target: "gristmill_test", "milling").in_scope(|| ());
            }
        });
        assert!(began.elapsed() < Duration::from_secs(1), "{endpoint}");
        let began = Instant::now();
        tokio::task::spawn_blocking(move || drop(telemetry)).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(4), "{endpoint}");
    }
}

#[test]
fn a_wrong_filter_is_refused_and_a_process_is_set_up_once() {
    let bad = TelemetryConfig { log: "=[".into(), ..TelemetryConfig::default() };
    assert!(init("gristmill", &bad, None).unwrap_err().to_string().contains("log filter `=[`"));
    let _first = init("gristmill", &quiet(), None).unwrap();
    assert!(init("gristmill", &quiet(), None).unwrap_err().to_string().contains("already set up"));
}
