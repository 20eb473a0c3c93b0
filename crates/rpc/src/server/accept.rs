//! The accept loop: HTTP/1.1 and HTTP/2 on one listener, with TLS or without, bounded, and drained at the
//! end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use gristmill_runtime::Shutdown;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::call::Peer;
use crate::tls::{ServerTls, handshake_refused, names};

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

/// The first byte of a TLS connection: a handshake record (RFC 8446 §5.1).
const TLS_RECORD: u8 = 0x16;
/// The first bytes of an HTTP/2 connection without TLS.
const HTTP2_PREFACE: &[u8] = b"PRI ";
/// What an HTTP/2 client without TLS is told: empty SETTINGS, and GOAWAY with INADEQUATE_SECURITY.
pub(crate) const TLS_WANTED: [u8; 26] = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12];
/// What an HTTP/1.1 client without TLS is told.
const TLS_WANTED_TEXT: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 39\r\n\
    connection: close\r\n\r\nthis port speaks TLS: write `https://`\n";

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
pub(super) async fn run(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<ServerTls>>,
    drain: Drain,
    streams: u32,
) {
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
                let peer = Peer { address: peer, names: Arc::from([]) };
                let http = Http { router: router.clone(), builder: builder.clone(), ending: drain.shutdown.child() };
                let serving = connection(stream, peer, tls.clone(), http);
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

/// What serves a connection once it stands.
struct Http {
    router: Router,
    builder: auto::Builder<TokioExecutor>,
    ending: CancellationToken,
}

async fn connection(stream: TcpStream, mut peer: Peer, tls: Option<Arc<ServerTls>>, http: Http) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection stays with delayed writes");
    }
    let Some(tls) = tls else { return http.serve(stream, peer).await };
    let secured = tokio::select! {
        secured = tokio::time::timeout(HEADER_TIMEOUT, secure(stream, &tls)) => secured,
        () = http.ending.cancelled() => return,
    };
    match secured {
        Ok(Ok(stream)) => {
            peer.names = names(stream.get_ref().1.peer_certificates());
            http.serve(stream, peer).await;
        }
        Ok(Err(why)) => tracing::info!(peer = %peer.address, why, "connection refused"),
        Err(_) => tracing::debug!(peer = %peer.address, "no tls handshake in time"),
    }
}

/// The handshake; who speaks plaintext is told so.
async fn secure(mut stream: TcpStream, tls: &ServerTls) -> Result<TlsStream<TcpStream>, String> {
    let mut first = [0; HTTP2_PREFACE.len()];
    let seen = stream.peek(&mut first).await.map_err(|error| error.to_string())?;
    if seen > 0 && first.first() != Some(&TLS_RECORD) {
        let told = if first.starts_with(HTTP2_PREFACE) { TLS_WANTED.as_slice() } else { TLS_WANTED_TEXT };
        stream.write_all(told).await.map_err(|error| error.to_string())?;
        stream.shutdown().await.map_err(|error| error.to_string())?;
        // What still comes is read: closing over unread bytes would take back what was written.
        let mut rest = [0; 1024];
        while matches!(stream.read(&mut rest).await, Ok(1..)) {}
        return Err("the client speaks no TLS".into());
    }
    tls.acceptor().accept(stream).await.map_err(|error| handshake_refused(&error))
}

impl Http {
    async fn serve<S>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { router, builder, ending } = self;
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
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
}
