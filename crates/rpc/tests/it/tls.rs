//! TLS over real sockets: what passes, what is refused and with which words, certificates that change.

use std::sync::Arc;
use std::time::Duration;

use gristmill_rpc::auth::{AuthConfig, token_hash};
use gristmill_rpc::{
    Auth, Channel, ClientTlsConfig, Problem, RemoteConfig, Request, ServerConfig, ServerError, TlsConfig,
};
use gristmill_runtime::Process;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::Code;

use super::bench::Bench;
use super::certs::{Ca, When};
use super::probe::{call, collect};

async fn open(tls: TlsConfig) -> Bench {
    Bench::start(Auth::LoopbackOnly, ServerConfig { tls, ..ServerConfig::default() }).await
}

/// Why a call over `channel` cannot be made.
async fn fault(channel: &Channel) -> (String, String) {
    let status = call(channel, "Unary", "rye").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    (Problem::from(&status).reason.into_owned(), status.message().to_owned())
}

async fn connected(bench: &Bench, ca: &Ca) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca.file("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(bench.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn grpc_and_rest_share_a_port_with_tls() {
    let ca = Ca::new();
    ca.give("mill", &["localhost"], When::Now);
    let bench = open(ca.server("mill")).await;
    assert_eq!(bench.server.scheme(), "https");
    let channel = bench.secured(ca.client(), None);
    assert_eq!(call(&channel, "Unary", "rye").await.unwrap(), "RYE");
    assert_eq!(collect(&channel, Request::new("rye".to_owned())).await.unwrap().len(), 2);
    let mut stream = connected(&bench, &ca).await;
    let text =
        format!("GET /grain/mill HTTP/1.1\r\nhost: localhost:{}\r\nconnection: close\r\n\r\n", bench.address.port());
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("local grinds in mill"), "{answer}");
}

#[tokio::test]
async fn a_client_says_what_is_wrong_with_the_server() {
    let (ca, other, same_name) = (Ca::new(), Ca::named("another CA"), Ca::new());
    ca.give("expired", &["localhost"], When::Past);
    ca.give("early", &["localhost"], When::Future);
    ca.give("elsewhere", &["mill.example"], When::Now);
    ca.give("fine", &["localhost"], When::Now);
    let cases = [
        ("expired", ca.client(), "CERTIFICATE_EXPIRED", "has expired"),
        ("early", ca.client(), "CERTIFICATE_NOT_YET_VALID", "compare the clocks"),
        ("elsewhere", ca.client(), "CERTIFICATE_NAME", "mill.example"),
        ("fine", other.client(), "CERTIFICATE_ISSUER", "is not known here"),
        ("fine", same_name.client(), "CERTIFICATE_ISSUER", "and another key"),
    ];
    for (file, client, reason, words) in cases {
        let bench = open(ca.server(file)).await;
        let began = std::time::Instant::now();
        let (told, message) = fault(&bench.secured(client, None)).await;
        assert_eq!(told, reason, "{message}");
        assert!(message.contains(words) && message.contains("https://localhost:"), "{message}");
        assert!(began.elapsed() < Duration::from_secs(3), "no use in trying again");
    }
    let bench = open(ca.server("elsewhere")).await;
    let named = ClientTlsConfig { domain: Some("mill.example".into()), ..ca.client() };
    assert_eq!(call(&bench.secured(named, None), "Unary", "rye").await.unwrap(), "RYE");
}

#[tokio::test]
async fn plaintext_and_tls_that_meet_say_so() {
    let ca = Ca::new();
    ca.give("mill", &["localhost"], When::Now);
    let secured = open(ca.server("mill")).await;
    let (reason, message) = fault(&secured.remote(None)).await;
    assert_eq!(reason, "SERVER_WANTS_TLS", "{message}");
    let plain = Bench::open().await;
    let (reason, message) = fault(&plain.secured(ca.client(), None)).await;
    assert_eq!(reason, "SERVER_WITHOUT_TLS", "{message}");
    let mut stream = tokio::net::TcpStream::connect(secured.address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("write `https://`\n"), "{answer}");
    assert_eq!(call(&secured.secured(ca.client(), None), "Unary", "rye").await.unwrap(), "RYE", "it lives on");
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Channel::remote(&listener.local_addr().unwrap().to_string(), None).unwrap()
    };
    let (reason, message) = fault(&gone).await;
    assert_eq!(reason, "UNREACHABLE", "{message}");
}

/// Services by certificate, people by token.
async fn mutual(ca: &Ca, optional: bool) -> (Bench, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let hash = token_hash("ana's");
    let text = format!(
        "tokens:\n- {{name: training, service: true, projects: {{mill: [ml-engineer]}}}}\n\
         - {{name: ana, sha256: {hash}, projects: {{mill: [data-scientist]}}}}\n"
    );
    std::fs::write(file.path(), text).unwrap();
    let certificates = [("spiffe://mill/training".to_owned(), "training".to_owned())].into();
    let auth = AuthConfig { tokens: Some(file.path().into()), certificates, ..AuthConfig::default() };
    let tls = TlsConfig { client_optional: optional, ..ca.mutual("mill") };
    (Bench::open_with(&auth, ServerConfig { tls, ..ServerConfig::default() }).await, file)
}

#[tokio::test]
async fn a_client_certificate_names_the_service() {
    let ca = Ca::new();
    ca.give("mill", &["localhost"], When::Now);
    ca.give("training", &["training.mill.svc", "spiffe://mill/training"], When::Now);
    ca.give("stranger", &["spiffe://mill/stranger"], When::Now);
    let (bench, _file) = mutual(&ca, false).await;
    let service = bench.secured(ca.client_as("training"), None);
    assert_eq!(call(&service, "Who", "mill").await.unwrap(), "training in mill");
    let mut request = Request::new("mill".to_owned());
    request.metadata_mut().insert("gristmill-on-behalf-of", "ana".parse().unwrap());
    assert_eq!(super::probe::send(&service, "Who", request).await.unwrap(), "ana via training in mill");
    let with_token = bench.secured(ca.client_as("training"), Some("ana's"));
    assert_eq!(call(&with_token, "Who", "mill").await.unwrap(), "ana in mill", "a token says more than a certificate");
    let stranger = call(&bench.secured(ca.client_as("stranger"), None), "Who", "mill").await.unwrap_err();
    assert_eq!(Problem::from(&stranger).reason, "NO_TOKEN", "a good certificate of nobody known");
    let (bench, _file) = mutual(&ca, true).await;
    assert_eq!(call(&bench.secured(ca.client(), Some("ana's")), "Who", "mill").await.unwrap(), "ana in mill");
    let service = bench.secured(ca.client_as("training"), None);
    assert_eq!(call(&service, "Who", "mill").await.unwrap(), "training in mill");
}

#[tokio::test]
async fn a_client_is_told_what_is_wrong_with_its_certificate() {
    let (ca, other, same_name) = (Ca::new(), Ca::named("another CA"), Ca::new());
    ca.give("mill", &["localhost"], When::Now);
    ca.give("expired", &["spiffe://mill/training"], When::Past);
    other.give("foreign", &["spiffe://mill/training"], When::Now);
    same_name.give("foreign", &["spiffe://mill/training"], When::Now);
    let (bench, _file) = mutual(&ca, false).await;
    let from = |other: &Ca| ClientTlsConfig { ca: Some(ca.file("ca.pem")), ..other.client_as("foreign") };
    let cases = [
        (ca.client(), "CLIENT_CERTIFICATE_NEEDED", "set `tls.cert`"),
        (ca.client_as("expired"), "CLIENT_CERTIFICATE_REFUSED", "expired"),
        (from(&other), "CLIENT_CERTIFICATE_REFUSED", "does not know the CA"),
        (from(&same_name), "CLIENT_CERTIFICATE_REFUSED", "and another key"),
    ];
    for (client, reason, words) in cases {
        // A token does not stand for the certificate.
        let (told, message) = fault(&bench.secured(client, Some("ana's"))).await;
        assert_eq!(told, reason, "{message}");
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_drops_none() {
    let ca = Ca::new();
    ca.give("mill", &["localhost"], When::Now);
    let bench = open(ca.server("mill")).await;
    let shown = async || connected(&bench, &ca).await.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let before = shown().await;
    let standing = bench.secured(ca.client(), None);
    assert_eq!(call(&standing, "Unary", "rye").await.unwrap(), "RYE");
    let watched = standing.clone();
    let stream = tokio::spawn(async move { collect(&watched, Request::new("hang".to_owned())).await });
    // Half of a change: the certificate without its key. The last good pair stays.
    let key = std::fs::read(ca.file("mill.key")).unwrap();
    ca.give("mill", &["localhost", "mill.example"], When::Now);
    let new_key = std::fs::read(ca.file("mill.key")).unwrap();
    std::fs::write(ca.file("mill.key"), key).unwrap();
    let until = tokio::time::Instant::now() + Duration::from_millis(1500);
    while tokio::time::Instant::now() < until {
        assert_eq!(shown().await, before);
    }
    std::fs::write(ca.file("mill.key"), new_key).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while shown().await == before {
        assert!(tokio::time::Instant::now() < deadline, "the new certificate is shown");
    }
    assert_eq!(call(&standing, "Unary", "rye").await.unwrap(), "RYE");
    assert!(!stream.is_finished(), "what stood still stands");
    stream.abort();
}

#[tokio::test]
async fn tls_files_that_cannot_work_are_refused_at_the_start() {
    let ca = Ca::new();
    ca.give("a", &["localhost"], When::Now);
    ca.give("b", &["localhost"], When::Now);
    let mixed = TlsConfig { key: Some(ca.file("b.key")), ..ca.server("a") };
    let swapped = TlsConfig { cert: Some(ca.file("a.key")), key: Some(ca.file("a.pem")), ..TlsConfig::default() };
    let cases = [
        (mixed, "belongs to another certificate"),
        (swapped, "BEGIN CERTIFICATE"),
        (TlsConfig { key: None, ..ca.server("a") }, "`tls.cert` is set without `tls.key`"),
        (TlsConfig { client_ca: Some(ca.file("ca.pem")), ..TlsConfig::default() }, "`tls.client_ca` is set without"),
        (ca.server("none"), "none.pem"),
    ];
    for (tls, expected) in cases {
        let config = ServerConfig { tls, ..ServerConfig::default() };
        let services = gristmill_rpc::Services::new();
        let built = gristmill_rpc::Server::build(services, Auth::LoopbackOnly, &config, &Process::new()).await;
        let error = built.unwrap_err();
        let told = gristmill_rpc::error::chain(&error);
        assert!(matches!(error, ServerError::Tls(_)) && told.contains(expected), "{expected}: {told}");
    }
    let client = RemoteConfig { tls: ca.client_as("none"), ..RemoteConfig::new("https://localhost:1") };
    let problem = Channel::open(&client).unwrap_err();
    assert_eq!(problem.reason, "INVALID_TLS");
    assert!(problem.message.contains("none.pem"), "{problem}");
}

#[tokio::test]
async fn beyond_loopback_both_tokens_and_tls_are_wanted() {
    let ca = Ca::new();
    ca.give("mill", &["localhost"], When::Now);
    let (both, _file) = mutual(&ca, true).await;
    assert!(both.server.listen("0.0.0.0:0").await.is_ok());
    let only_tls = open(ca.server("mill")).await;
    let refused = only_tls.server.listen("0.0.0.0:0").await.unwrap_err().to_string();
    assert!(refused.contains("not told apart") && !refused.contains("encrypted"), "{refused}");
}
