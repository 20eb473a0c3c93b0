//! HTTP routes on the same port: rights, hosts, panics, metrics.

use std::sync::Arc;

use gristmill_rpc::auth::{Tokens, token_hash};
use gristmill_rpc::{Auth, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::bench::Bench;
use super::probe::call;

/// Sends one HTTP/1.1 request as raw bytes, so that every header is the test's own.
async fn send(bench: &Bench, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        text.push_str(&format!("host: {}\r\n", bench.address));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut stream = tokio::net::TcpStream::connect(bench.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}

#[tokio::test]
async fn routes_share_the_port_with_grpc_and_are_guarded_alike() {
    let bench = Bench::open().await;
    let (status, body) = send(&bench, "GET", "/grain/mill", &[]).await;
    assert_eq!((status, body.as_str()), (200, "local grinds in mill"));
    assert_eq!(send(&bench, "POST", "/grain/mill", &[]).await.0, 200);
    assert_eq!(send(&bench, "DELETE", "/grain/mill", &[]).await.0, 405);
    assert_eq!(send(&bench, "GET", "/grain/..%2fmill", &[]).await.0, 400);
    assert_eq!(call(&bench.remote(None), "Unary", "rye").await.unwrap(), "RYE");
    let (status, body) = send(&bench, "GET", "/nowhere", &[]).await;
    assert_eq!(status, 404);
    assert!(body.contains("UNKNOWN_PATH"), "{body}");
    let (status, body) = send(&bench, "GET", "/stone", &[]).await;
    assert_eq!(status, 500);
    assert!(body.contains("PANIC") && !body.contains("cracked"), "{body}");
    let (status, body) = send(&bench, "GET", "/metrics", &[]).await;
    assert_eq!(status, 200);
    let count = "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_route=\"/stone\",http_response_status_code=\"500\"} 1";
    assert!(body.contains(count), "{body}");
    assert!(body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_lured_browser_is_turned_away() {
    let bench = Bench::open().await;
    let own = format!("http://{}", bench.address);
    assert_eq!(send(&bench, "GET", "/grain/mill", &[("origin", &own)]).await.0, 200);
    for method in ["GET", "HEAD", "POST"] {
        assert_eq!(send(&bench, method, "/grain/mill", &[("host", "evil.example")]).await.0, 421, "{method}");
        assert_eq!(send(&bench, method, "/grain/mill", &[("origin", "http://evil.example")]).await.0, 403, "{method}");
        let cross = [("sec-fetch-site", "cross-site")];
        assert_eq!(send(&bench, method, "/grain/mill", &cross).await.0, 403, "{method}");
    }
    let rebound = [("host", "evil.example"), ("content-type", "application/grpc")];
    let (_, body) = send(&bench, "POST", "/gristmill.test.Probe/Unary", &rebound).await;
    assert!(!body.contains("RYE"), "{body}");
}

#[tokio::test]
async fn tokens_open_routes_as_they_open_rpcs() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let (eve, joe) = (token_hash("eve's"), token_hash("joe's"));
    let text = format!(
        "tokens:\n- {{name: eve, sha256: {eve}, projects: {{mill: [data-engineer]}}}}\n- {{name: joe, sha256: {joe}, projects: {{mill: [software-engineer]}}}}\n"
    );
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    let auth = Auth::Tokens(Arc::new(Tokens::read(file.path()).unwrap()));
    let bench = Bench::start(auth, ServerConfig::default()).await;
    let bearer = |token: &str| format!("Bearer {token}");
    assert_eq!(send(&bench, "GET", "/grain/mill", &[]).await.0, 401);
    assert_eq!(send(&bench, "GET", "/metrics", &[]).await.0, 401);
    assert_eq!(send(&bench, "GET", "/grain/mill", &[("authorization", &bearer("x"))]).await.0, 401);
    assert_eq!(send(&bench, "GET", "/grain/mill", &[("authorization", &bearer("eve's"))]).await.0, 403);
    assert_eq!(send(&bench, "GET", "/grain/mill", &[("authorization", &bearer("joe's"))]).await.0, 200);
    assert_eq!(send(&bench, "GET", "/grain/other", &[("authorization", &bearer("joe's"))]).await.0, 403);
    assert_eq!(send(&bench, "GET", "/stone", &[]).await.0, 500, "public, and it still panics");
    let named = [("authorization", &*bearer("joe's")), ("host", "mill.internal")];
    assert_eq!(send(&bench, "GET", "/grain/mill", &named).await.0, 200, "who shows a token was not lured");
}
