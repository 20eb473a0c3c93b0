//! One small document from an HTTP server: bounded in time and size, no redirects, TLS unless the server is
//! on this machine.

use std::path::PathBuf;
use std::time::Duration;

use ::http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::tls::{ClientTls, ClientTlsConfig, of_client};

/// Time for everything.
const TIME: Duration = Duration::from_secs(10);
/// Largest document, bytes.
const BYTES: usize = 1 << 20;

/// Where a document is.
#[derive(Debug)]
pub(crate) enum Source {
    /// On this machine.
    File(PathBuf),
    /// On a server.
    Server(Uri),
}

impl Source {
    /// # Errors
    /// It is neither a path nor a URL that may be used.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if !text.contains("://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let uri: Uri = text.parse().map_err(|error| format!("`{text}` is not a URL: {error}"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => Ok(Self::Server(uri)),
            (Some("http"), Some("127.0.0.1" | "[::1]" | "localhost")) => Ok(Self::Server(uri)),
            (Some("http"), Some(_)) => Err(format!("`{text}` could be changed on its way: write `https://`")),
            _ => Err(format!("`{text}` is not a URL: write `https://host/path` or a file's path")),
        }
    }
}

/// Gets one document, as often as asked.
#[derive(Debug)]
pub(crate) struct Fetch {
    url: Uri,
    host: String,
    port: u16,
    tls: Option<ClientTls>,
    domain: Option<String>,
}

impl Fetch {
    /// # Errors
    /// The TLS files cannot be used.
    pub(crate) fn open(url: Uri, tls: &ClientTlsConfig) -> Result<Self, String> {
        let secured = url.scheme_str() == Some("https");
        let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_u16().unwrap_or(if secured { 443 } else { 80 });
        let client = secured.then(|| ClientTls::open(tls, b"http/1.1")).transpose();
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { url, host, port, tls: client, domain: tls.domain.clone() })
    }

    /// The document as it is now.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) async fn get(&self) -> Result<Vec<u8>, String> {
        let got = tokio::time::timeout(TIME, self.exchange()).await;
        got.unwrap_or_else(|_| Err(format!("no answer within {} s", TIME.as_secs())))
            .map_err(|error| format!("{}: {error}", self.url))
    }

    async fn exchange(&self) -> Result<Vec<u8>, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| error.to_string())?;
        let Some(tls) = &self.tls else { return self.over(stream).await };
        let name = self.domain.as_deref().unwrap_or(&self.host).to_owned();
        let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
        let stream =
            tls.connector().connect(name, stream).await.map_err(|error| {
                of_client(&self.host, &error).map_or_else(|| error.to_string(), |fault| fault.message)
            })?;
        self.over(stream).await
    }

    async fn over<S>(&self, stream: S) -> Result<Vec<u8>, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let failed = |error: hyper::Error| crate::error::chain(&error);
        let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        // Ends with the exchange: `send` is dropped then.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "fetch connection ended");
            }
        });
        let path = self.url.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.url.authority().map_or("", |authority| authority.as_str());
        let request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .header(header::HOST, authority)
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let response = send.send_request(request).await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(format!("the server answers {}", response.status()));
        }
        let body = Limited::new(response.into_body(), BYTES).collect().await;
        body.map(|body| body.to_bytes().to_vec()).map_err(|error| error.to_string())
    }
}
