//! What a caller shows is followed while its call lasts.

use std::path::Path;
use std::time::Duration;

use gristmill_rpc::auth::{AuthConfig, token_hash};
use gristmill_rpc::{Problem, Request, ServerConfig};
use tonic::Code;

use super::bench::Bench;
use super::probe::{call, collect};

fn write(file: &Path, names: &[(&str, &str)]) {
    let mut text = String::from("tokens:\n");
    for (name, role) in names {
        let hash = token_hash(&format!("token of {name}"));
        text.push_str(&format!("  - {{name: {name}, sha256: {hash}, projects: {{default: [{role}]}}}}\n"));
    }
    let new = file.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, file).unwrap();
}

#[tokio::test]
async fn a_token_that_is_revoked_or_lessened_ends_its_streams_within_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.yaml");
    write(&file, &[("gone", "admin"), ("less", "ml-engineer"), ("more", "data-scientist"), ("same", "admin")]);
    let auth = AuthConfig { tokens: Some(file.clone()), ..AuthConfig::default() };
    let bench = Bench::open_with(&auth, ServerConfig::default()).await;
    let watch = |name: &str| {
        let channel = bench.remote(Some(&format!("token of {name}")));
        tokio::spawn(async move { collect(&channel, Request::new("hang".to_owned())).await.unwrap() })
    };
    let (gone, less, more, same) = (watch("gone"), watch("less"), watch("more"), watch("same"));
    while !bench.process.metrics.encode().contains("rpc_server_active_requests 4") {
        tokio::task::yield_now().await;
    }
    write(&file, &[("less", "data-scientist"), ("more", "ml-engineer"), ("same", "admin"), ("new", "admin")]);
    for watcher in [gone, less] {
        let mut all = tokio::time::timeout(Duration::from_secs(10), watcher).await.unwrap().unwrap();
        let last = all.pop().unwrap().unwrap_err();
        assert_eq!((last.code(), Problem::from(&last).reason.as_ref()), (Code::Unauthenticated, "TOKEN_REVOKED"));
        assert_eq!(all.pop().unwrap().unwrap(), "first", "what came before is kept");
    }
    assert!(!more.is_finished() && !same.is_finished(), "who lost nothing goes on");
    let refused = call(&bench.remote(Some("token of gone")), "Unary", "rye").await.unwrap_err();
    assert_eq!(Problem::from(&refused).reason, "UNKNOWN_TOKEN");
    assert_eq!(call(&bench.remote(Some("token of new")), "Unary", "rye").await.unwrap(), "RYE");
    // A file that broke on the way is not believed: nobody is locked out, and nobody let in.
    std::fs::write(&file, "tokens: [").unwrap();
    let until = tokio::time::Instant::now() + Duration::from_secs(3);
    while tokio::time::Instant::now() < until {
        assert_eq!(call(&bench.remote(Some("token of same")), "Unary", "rye").await.unwrap(), "RYE");
    }
    assert!(!same.is_finished());
    more.abort();
    same.abort();
}
