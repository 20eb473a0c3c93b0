//! One HTTP/2 connection, with or without TLS, and what to say when there is none.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::body::Body;

use crate::tls::{ClientTls, Fault, of_client};

/// How long an asked peer may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// What is looked at to see what a peer speaks that is not HTTP/2.
const FIRST_BYTES: usize = 64;

/// How connections to one server are made.
#[derive(Debug)]
pub(super) struct Target {
    /// As callers wrote it, for messages.
    pub(super) text: String,
    pub(super) tls: Option<ClientTls>,
    /// The name certificates must have, if it is not the host's own.
    pub(super) domain: Option<String>,
    pub(super) connect_timeout: Duration,
    pub(super) keep_alive: Duration,
}

/// A connection; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) send: SendRequest<Body>,
    noted: Noted,
}

impl Connection {
    /// Why it ended, as far as that is known.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.noted.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The first fault of a connection, noted where it is read: HTTP/2 passes only its text on.
#[derive(Debug, Clone, Default)]
struct Noted(Arc<Mutex<Option<Fault>>>);

impl Noted {
    fn note(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
    }
}

/// Connects to `address`, whose name is `host`.
pub(super) async fn connect(target: &Target, host: &str, address: SocketAddr) -> Result<Connection, Fault> {
    let at = if target.text.contains(&address.to_string()) {
        target.text.clone()
    } else {
        format!("{} ({address})", target.text)
    };
    let connecting = establish(target, host, address, &at);
    match tokio::time::timeout(target.connect_timeout, connecting).await {
        Ok(connection) => connection,
        Err(_) => {
            let message = format!("{at} does not answer within {} s", target.connect_timeout.as_secs());
            Err(Fault::passing("CONNECT_TIMEOUT", message))
        }
    }
}

async fn establish(target: &Target, host: &str, address: SocketAddr, at: &str) -> Result<Connection, Fault> {
    let unreachable = |error: io::Error| Fault::passing("UNREACHABLE", format!("cannot connect to {at}: {error}"));
    let stream = TcpStream::connect(address).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let Some(tls) = &target.tls else { return http2(target, at, stream, true).await };
    let name = target.domain.as_deref().unwrap_or(host);
    let name = ServerName::try_from(name.to_owned()).map_err(|_| {
        Fault::passing("INVALID_NAME", format!("`{name}` is not a name that a certificate can have: set `tls.domain`"))
    })?;
    let stream = tls.connector().connect(name, stream).await.map_err(|error| {
        of_client(at, &error).unwrap_or_else(|| {
            let message = format!("{at} ended the connection during the TLS handshake: {error}");
            Fault::passing("TLS_FAILED", message)
        })
    })?;
    http2(target, at, stream, false).await
}

async fn http2<S>(target: &Target, at: &str, stream: S, plain: bool) -> Result<Connection, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let noted = Noted::default();
    let first = if plain { Vec::with_capacity(FIRST_BYTES) } else { Vec::new() };
    let stream = Watched { inner: stream, at: at.to_owned(), noted: noted.clone(), plain, first };
    let (send, connection) = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .adaptive_window(true)
        .keep_alive_interval(target.keep_alive)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Fault::passing("NOT_HTTP2", format!("{at} does not speak HTTP/2: {error}")))?;
    let ended = noted.clone();
    let at = at.to_owned();
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            let text = crate::error::chain(&error);
            tracing::debug!(server = at, error = text, "connection ended");
            ended.note(Fault::passing("CONNECTION_LOST", format!("the connection to {at} is lost: {text}")));
        }
    });
    Ok(Connection { send, noted })
}

/// A stream whose faults are noted: alerts of a TLS peer that come after the handshake (a missing client
/// certificate does), and the answer of a TLS server to plaintext.
struct Watched<S> {
    inner: S,
    at: String,
    noted: Noted,
    plain: bool,
    first: Vec<u8>,
}

impl<S> Watched<S> {
    fn saw(&mut self, bytes: &[u8]) {
        let room = FIRST_BYTES.saturating_sub(self.first.len());
        self.first.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if wants_tls(&self.first) {
            let message = format!("{} wants TLS: write `https://`", self.at);
            self.noted.note(Fault { reason: "SERVER_WANTS_TLS", message, lasting: true });
        }
    }
}

/// Whether a plaintext connection was answered with a TLS alert, or with what a server of ours says on
/// such a connection (GOAWAY with INADEQUATE_SECURITY after empty SETTINGS).
fn wants_tls(first: &[u8]) -> bool {
    let alert = matches!(first, [0x15, 0x03, ..]);
    alert || first.get(..crate::server::TLS_WANTED.len()) == Some(&crate::server::TLS_WANTED)
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        match &polled {
            Poll::Ready(Ok(())) if this.plain && this.first.len() < FIRST_BYTES => {
                let new = buf.filled().get(before..).unwrap_or_default();
                this.saw(new);
            }
            Poll::Ready(Err(error)) => {
                if let Some(fault) = of_client(&this.at, error) {
                    this.noted.note(fault);
                }
            }
            _ => {}
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
