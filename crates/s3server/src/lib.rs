//! A real S3 server on a loopback port, for tests and measurements.
#![doc = include_str!("../README.md")]

mod access;
mod tls;
mod wire;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub use access::{Account, BLIND, ConditionalPuts, READER, WRITER};
pub use wire::WireFault;

use access::Access;
use wire::Wire;

/// The bucket that every server has.
pub const BUCKET: &str = "artifacts";

/// A running server; it ends, and its objects with it, when this is dropped.
#[derive(Debug)]
pub struct S3Server {
    endpoint: String,
    root: TempDir,
    wire: Arc<Wire>,
    conditional: Arc<Mutex<ConditionalPuts>>,
    accepting: JoinHandle<()>,
}

impl S3Server {
    /// Starts a server on a free port of this machine.
    ///
    /// # Errors
    /// What the machine says when no folder can be made or no port be bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(None).await
    }

    /// The same over TLS, with a certificate for `127.0.0.1` that only the given PEM file vouches for; the
    /// endpoint is `https://127.0.0.1:PORT`.
    ///
    /// # Errors
    /// As [`Self::start`], and when the certificate cannot be made or the file not be written.
    pub async fn start_tls(ca_file: &Path) -> io::Result<Self> {
        Self::start_with(Some(tls::acceptor(ca_file)?)).await
    }

    async fn start_with(tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let root = tempfile::tempdir()?;
        std::fs::create_dir(root.path().join(BUCKET))?;
        let files = FileSystem::new(root.path()).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut service = S3ServiceBuilder::new(files);
        let mut accounts = SimpleAuth::new();
        for account in [WRITER, READER, BLIND] {
            accounts.register(account.key_id.to_owned(), account.secret.into());
        }
        service.set_auth(accounts);
        let access = Access::default();
        let conditional = access.conditional.clone();
        service.set_access(access);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = format!("{scheme}://{}", listener.local_addr()?);
        let wire = Arc::new(Wire::default());
        let accepting = tokio::spawn(accept(listener, tls, service.build(), wire.clone()));
        Ok(Self { endpoint, root, wire, conditional, accepting })
    }

    /// Its address, `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where the bucket's objects lie as plain files, each at its key.
    pub fn bucket_folder(&self) -> PathBuf {
        self.root.path().join(BUCKET)
    }

    /// How many multipart uploads were begun and neither completed nor aborted.
    ///
    /// # Errors
    /// What the machine says when the folder cannot be read.
    pub fn open_uploads(&self) -> io::Result<usize> {
        let mut open = 0;
        for entry in std::fs::read_dir(self.root.path())? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            // `s3s-fs` keeps one such file for every open upload, and its pieces beside it.
            open += usize::from(name.starts_with(".upload") && name.ends_with(".json"));
        }
        Ok(open)
    }

    /// Lets the next `times` requests of an HTTP method meet a fault.
    pub fn inject(&self, method: http::Method, fault: WireFault, times: usize) {
        self.wire.inject(method, fault, 0, times);
    }

    /// The same, after `skip` requests of the method went well.
    pub fn inject_after(&self, method: http::Method, fault: WireFault, skip: usize, times: usize) {
        self.wire.inject(method, fault, skip, times);
    }

    /// Forgets the faults that have not happened yet.
    pub fn heal(&self) {
        self.wire.heal();
    }

    /// Waits until something is so that requests bring about.
    pub async fn until(&self, mut is_so: impl FnMut(&Self) -> bool) {
        loop {
            let changed = self.wire.changed.notified();
            tokio::pin!(changed);
            // Asked for before looking, so that nothing is missed in between.
            changed.as_mut().enable();
            if is_so(self) {
                return;
            }
            changed.await;
        }
    }

    /// How many requests met a fault since the start.
    pub fn fired(&self) -> usize {
        self.wire.fired()
    }

    /// How many requests came since the start.
    pub fn requests(&self) -> usize {
        self.wire.requests()
    }

    /// How the server treats `If-None-Match`.
    pub fn conditional_puts(&self, how: ConditionalPuts) {
        *self.conditional.lock().unwrap_or_else(PoisonError::into_inner) = how;
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, service: S3Service, wire: Arc<Wire>) {
    // Connections end with the server: the set is dropped with this task.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        // What a piece of a body needs is sent at once; delays of small packets would be measured as the store's.
        drop(socket.set_nodelay(true));
        let (tls, service, wire) = (tls.clone(), service.clone(), wire.clone());
        connections.spawn(async move {
            match tls {
                None => serve(socket, service, wire).await,
                // A client that does not trust us goes away here.
                Some(tls) => {
                    if let Ok(socket) = tls.accept(socket).await {
                        serve(socket, service, wire).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(socket: impl AsyncRead + AsyncWrite + Unpin + 'static, service: S3Service, wire: Arc<Wire>) {
    let answer = hyper::service::service_fn(move |request| {
        let (service, wire) = (service.clone(), wire.clone());
        async move { wire.answer(request, &service).await }
    });
    // A client that goes away is no failure of the server.
    drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), answer).await);
}
