//! The accept loop: HTTP/1.1 and HTTP/2 on one listener, bounded, and drained at the end.

use std::time::Duration;

use axum::Router;
use gristmill_runtime::Shutdown;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::call::Peer;

/// Time a client has to send its request's headers (slow-loris).
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of one request's headers.
const HEADER_BYTES: u32 = 32 << 10;
/// An idle connection is asked for life this often, and dropped when it does not answer.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// After an error of `accept` (no file handles left) the loop waits, instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time that ended calls have to write their last bytes.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// How serving ends.
pub(super) struct Drain {
    pub(super) shutdown: Shutdown,
    /// Cancelled when the grace is over.
    pub(super) cutoff: CancellationToken,
    pub(super) grace: Duration,
}

/// Accepts until the shutdown is requested, then: 1. closes the listener, 2. asks every connection to
/// finish its calls and take no more, 3. after the grace ends the calls, 4. a moment later drops what
/// is left.
pub(super) async fn run(listener: TcpListener, router: Router, drain: Drain, streams: u32) {
    let builder = builder(streams);
    let connections = TaskTracker::new();
    let dropped = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.shutdown.requested() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let serving = connection(stream, Peer(peer), router.clone(), builder.clone(), drain.shutdown.child());
                connections.spawn(dropped.clone().run_until_cancelled_owned(serving));
            }
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(drain.grace, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "grace is over, ending calls under way");
        drain.cutoff.cancel();
        if tokio::time::timeout(LAST_BYTES, connections.wait()).await.is_err() {
            dropped.cancel();
            connections.wait().await;
        }
    }
}

fn builder(streams: u32) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES as usize * 4);
    builder
        .http2()
        .timer(TokioTimer::new())
        .adaptive_window(true)
        .max_concurrent_streams(streams)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    builder: auto::Builder<TokioExecutor>,
    ending: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection stays with delayed writes");
    }
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().call(request.map(axum::body::Body::new))
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}
