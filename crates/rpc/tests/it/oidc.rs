//! Signed tokens of an issuer: what is taken, what is refused and how, keys that come and go.

use std::time::Duration;

use gristmill_rpc::auth::{AuthConfig, OidcConfig, token_hash};
use gristmill_rpc::{Auth, Problem, Request, Server, ServerConfig, Services, Surface};
use gristmill_runtime::Process;
use gristmill_types::Permission;
use serde_json::{Value, json};
use tonic::Code;

use super::bench::Bench;
use super::certs::{Ca, When};
use super::issuer::{KeyServer, Signer, claims, config, key_set, now, unsigned};
use super::probe::{call, collect, send};

/// A server that takes the tokens of `keys`, and `ana` by a token of the file.
async fn bench(keys: &KeyServer) -> (Bench, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (ana, probe) = (token_hash("ana's"), token_hash("probe's"));
    let text = format!(
        "tokens:\n- {{name: ana, sha256: {ana}, projects: {{default: [data-scientist]}}}}\n\
         - {{name: probe, sha256: {probe}, service: true, projects: {{default: [ml-engineer]}}}}\n"
    );
    std::fs::write(file.path(), text).unwrap();
    let auth = AuthConfig { tokens: Some(file.path().into()), oidc: config(keys.url()), ..AuthConfig::default() };
    (Bench::open_with(&auth, ServerConfig::default()).await, file)
}

async fn who(bench: &Bench, token: &str) -> Result<String, (Code, String)> {
    let answer = call(&bench.remote(Some(token)), "Who", "default").await;
    answer.map_err(|status| (status.code(), Problem::from(&status).reason.into_owned()))
}

fn refused(reason: &str) -> Result<String, (Code, String)> {
    Err((Code::Unauthenticated, reason.to_owned()))
}

#[tokio::test]
async fn tokens_of_every_algorithm_are_taken_beside_hashed_ones() {
    let signers = [Signer::rs256(), Signer::es256(), Signer::eddsa()];
    let jwks: Vec<Value> = signers.iter().map(|signer| signer.jwk(signer.algorithm())).collect();
    let keys = KeyServer::start(Some(key_set(&jwks))).await;
    let (bench, _file) = bench(&keys).await;
    for signer in &signers {
        let token = signer.sign(signer.algorithm(), &claims("bob@example.org", &["data-scientist", "unknown"]));
        assert_eq!(who(&bench, &token).await.unwrap(), "bob@example.org in default", "{}", signer.algorithm());
        let without_id = signer.sign_as(&json!({"alg": signer.algorithm()}), &claims("bob", &["admin"]));
        assert_eq!(who(&bench, &without_id).await.unwrap(), "bob in default");
    }
    assert_eq!(who(&bench, "ana's").await.unwrap(), "ana in default");
    let nothing = signers[0].sign("RS256", &claims("eve", &["unknown"]));
    assert_eq!(who(&bench, &nothing).await.unwrap_err(), (Code::PermissionDenied, "NOT_PERMITTED".into()));
    assert_eq!(keys.asked(), 1, "the key set is kept");
}

#[tokio::test]
async fn every_wrong_token_is_refused_with_what_is_wrong() {
    let (good, other, rsa) = (Signer::es256(), Signer::es256(), Signer::rs256());
    let keys = KeyServer::start(Some(key_set(&[good.jwk("a"), rsa.jwk("r")]))).await;
    let (bench, _file) = bench(&keys).await;
    let changed = |name: &str, value: Value| {
        let mut claims = claims("bob", &["admin"]);
        claims[name] = value;
        good.sign("a", &claims)
    };
    let without = |name: &str| {
        let mut claims = claims("bob", &["admin"]);
        claims.as_object_mut().unwrap().remove(name);
        good.sign("a", &claims)
    };
    let fine = claims("bob", &["admin"]);
    let none = |alg: &str| format!("{}.", unsigned(&json!({"alg": alg, "typ": "JWT", "kid": "a"}), &fine));
    // A public key passed off as a shared secret: the algorithm is refused before any key is asked.
    let confused = format!("{}AAAA", none("HS256"));
    let cut = none("ES256");
    let cases = [
        ("expired", changed("exp", json!(now() - 6)), "TOKEN_EXPIRED"),
        ("not yet", changed("nbf", json!(now() + 60)), "TOKEN_NOT_YET_VALID"),
        ("issued in the future", changed("iat", json!(now() + 60)), "TOKEN_NOT_YET_VALID"),
        ("audience", changed("aud", json!("other")), "TOKEN_AUDIENCE"),
        ("audiences", changed("aud", json!(["a", "b"])), "TOKEN_AUDIENCE"),
        ("no audience", without("aud"), "TOKEN_AUDIENCE"),
        ("issuer", changed("iss", json!("https://id.example/")), "TOKEN_ISSUER"),
        ("no issuer", without("iss"), "TOKEN_ISSUER"),
        ("no end", without("exp"), "TOKEN_MALFORMED"),
        ("end of another type", changed("exp", json!("soon")), "TOKEN_MALFORMED"),
        ("no name", without("sub"), "TOKEN_NAME"),
        ("a name with a line break", changed("sub", json!("bob\nana")), "TOKEN_NAME"),
        ("a name of the file", changed("sub", json!("ana")), "TOKEN_NAME"),
        ("another key", other.sign("a", &fine), "TOKEN_SIGNATURE"),
        ("a key for another algorithm", good.sign("r", &fine), "TOKEN_KEY"),
        ("an unknown key", other.sign("../../etc/passwd", &fine), "TOKEN_KEY"),
        ("cut", cut, "TOKEN_SIGNATURE"),
        ("none", none("none"), "TOKEN_ALGORITHM"),
        ("None", none("None"), "TOKEN_ALGORITHM"),
        ("HS256", confused, "TOKEN_ALGORITHM"),
        ("no JSON", "a.b.c".to_owned(), "TOKEN_MALFORMED"),
        ("no token", "a".to_owned(), "UNKNOWN_TOKEN"),
    ];
    for (what, token, reason) in cases {
        assert_eq!(who(&bench, &token).await, refused(reason), "{what}");
    }
    assert_eq!(call(&bench.remote(None), "Who", "").await.unwrap_err().code(), Code::Unauthenticated, "missing");
    for (name, value) in [("exp", now() - 2), ("nbf", now() + 3), ("iat", now() + 3)] {
        assert!(who(&bench, &changed(name, json!(value))).await.is_ok(), "{name} within the leeway");
    }
    let broken = changed("exp", json!(now() as f64 + 60.5));
    assert!(who(&bench, &broken).await.is_ok(), "NumericDate may be broken (RFC 7519 §2)");
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_first_named_and_not_for_every_guess() {
    let (first, second) = (Signer::es256(), Signer::eddsa());
    let keys = KeyServer::start(None).await;
    let (bench, _file) = bench(&keys).await;
    let token = first.sign("first", &claims("bob", &["admin"]));
    assert_eq!(who(&bench, &token).await.unwrap_err(), (Code::Unavailable, "KEYS_UNAVAILABLE".into()));
    assert_eq!(who(&bench, "ana's").await.unwrap(), "ana in default", "others are not kept waiting");
    // Both are known: each answer came from the one fetch that the pause allows.
    let asked = keys.asked();
    for _ in 0..20 {
        assert!(who(&bench, &token).await.is_err());
    }
    assert_eq!(keys.asked(), asked, "a guess a call is not a fetch a call");
    keys.set(Some(key_set(&[first.jwk("first"), second.jwk("second")])));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while who(&bench, &token).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the keys are asked for again");
        tokio::task::yield_now().await;
    }
    assert_eq!(who(&bench, &second.sign("second", &claims("eva", &["admin"]))).await.unwrap(), "eva in default");
}

#[tokio::test]
async fn keys_come_over_tls_from_a_server_that_is_checked() {
    let signer = Signer::es256();
    let (ca, other) = (Ca::new(), Ca::named("another CA"));
    ca.give("issuer", &["localhost"], When::Now);
    let set = key_set(&[signer.jwk("a")]).to_string();
    let served = axum::routing::get(move || std::future::ready(set.clone()));
    let services = Services::new().route("/keys", served, Permission::Public);
    let tls = ServerConfig { tls: ca.server("issuer"), ..ServerConfig::default() };
    let process = Process::new();
    let issuer = Server::build(services, Auth::LoopbackOnly, &tls, &process).await.unwrap();
    let listener = issuer.listen("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/keys", listener.local_addr().unwrap().port());
    tokio::spawn(async move { issuer.serve(listener, Surface::Http).await });
    let token = signer.sign("a", &claims("bob", &["admin"]));
    for (jwks_tls, known) in [(ca.client(), true), (other.client(), false)] {
        let oidc = OidcConfig { jwks_tls, ..config(url.clone()) };
        let auth = AuthConfig { oidc, ..AuthConfig::default() };
        let bench = Bench::open_with(&auth, ServerConfig::default()).await;
        let answer = who(&bench, &token).await;
        assert_eq!(answer.is_ok(), known, "{answer:?}");
        if !known {
            assert_eq!(answer.unwrap_err(), (Code::Unavailable, "KEYS_UNAVAILABLE".into()));
        }
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_token_does() {
    let signer = Signer::es256();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, key_set(&[signer.jwk("a")]).to_string()).unwrap();
    let mut oidc = config(file.display().to_string());
    oidc.leeway_seconds = 0;
    let auth = AuthConfig { oidc, ..AuthConfig::default() };
    let bench = Bench::open_with(&auth, ServerConfig::default()).await;
    let mut short = claims("bob", &["admin"]);
    short["exp"] = json!(now() + 2);
    let channels = [signer.sign("a", &short), signer.sign("a", &claims("bob", &["admin"]))];
    let streams = channels.map(|token| {
        let channel = bench.remote(Some(&token));
        tokio::spawn(async move { collect(&channel, Request::new("hang".to_owned())).await.unwrap() })
    });
    let [expiring, revoked] = streams;
    let mut all = expiring.await.unwrap();
    let last = all.pop().unwrap().unwrap_err();
    assert_eq!((last.code(), Problem::from(&last).reason.as_ref()), (Code::Unauthenticated, "TOKEN_EXPIRED"));
    assert_eq!(all.pop().unwrap().unwrap(), "first", "what came before is kept");
    assert!(!revoked.is_finished(), "the other one is good for longer");
    // The issuer takes its key back.
    std::fs::write(&file, key_set(&[Signer::es256().jwk("b")]).to_string()).unwrap();
    let mut all = tokio::time::timeout(Duration::from_secs(10), revoked).await.unwrap().unwrap();
    let last = all.pop().unwrap().unwrap_err();
    assert_eq!((last.code(), Problem::from(&last).reason.as_ref()), (Code::Unauthenticated, "TOKEN_REVOKED"));
}

#[tokio::test]
async fn a_service_lends_an_issuers_caller_no_more_than_it_has() {
    let signer = Signer::es256();
    let keys = KeyServer::start(Some(key_set(&[signer.jwk("a")]))).await;
    let (bench, _file) = bench(&keys).await;
    let token = signer.sign("a", &claims("bob", &["data-scientist"]));
    let seen = call(&bench.remote(Some(&token)), "Forward", "default").await.unwrap();
    assert_eq!(seen, "bob via probe in default", "inside the process");
    let service = bench.remote(Some("probe's"));
    let says = |rights: &'static str| {
        let mut request = Request::new("default".to_owned());
        request.metadata_mut().insert("gristmill-on-behalf-of", "bob".parse().unwrap());
        request.metadata_mut().insert("gristmill-on-behalf-rights", rights.parse().unwrap());
        request
    };
    let seen = send(&service, "Who", says("default=read,write_training")).await.unwrap();
    assert_eq!(seen, "bob via probe in default");
    for (rights, reason) in [("default=read", "NOT_PERMITTED"), ("nonsense", "INVALID_RIGHTS")] {
        let status = send(&service, "Who", says(rights)).await.unwrap_err();
        assert_eq!((status.code(), Problem::from(&status).reason.as_ref()), (Code::PermissionDenied, reason));
    }
    let mut elsewhere = says("*=read,write_training,administer");
    *elsewhere.get_mut() = "mill".to_owned();
    let status = send(&service, "Who", elsewhere).await.unwrap_err();
    assert_eq!(Problem::from(&status).reason, "NOT_PERMITTED", "the service has nothing there itself");
    let person = bench.remote(Some(&token));
    let status = send(&person, "Who", says("*=administer")).await.unwrap_err();
    assert_eq!(Problem::from(&status).reason, "NOT_A_SERVICE");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_the_start() {
    let process = Process::new();
    let fine = config("https://id.example/keys".into());
    let change = |make: fn(&mut gristmill_rpc::auth::OidcConfig)| {
        let mut oidc = fine.clone();
        make(&mut oidc);
        AuthConfig { oidc, ..AuthConfig::default() }
    };
    let cases = [
        (change(|oidc| oidc.issuer.clear()), "`issuer` is missing"),
        (change(|oidc| oidc.audience.clear()), "`audience` is missing"),
        (change(|oidc| oidc.jwks = "http://id.example/keys".into()), "write `https://`"),
        (change(|oidc| oidc.jwks = "/no/such/file".into()), "/no/such/file"),
        (change(|oidc| oidc.algorithms.clear()), "`algorithms` is empty"),
        (change(|oidc| oidc.leeway_seconds = 301), "at most 300"),
        (
            change(|oidc| {
                let projects = [("default".to_owned(), vec!["boss".to_owned()])];
                oidc.groups.insert("staff".into(), projects.into());
            }),
            "group `staff`: `boss` is not a role",
        ),
        (AuthConfig { certificates: [("a".into(), "b".into())].into(), ..AuthConfig::default() }, "set `auth.tokens`"),
    ];
    for (config, expected) in cases {
        let error = config.open(&process).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let unknown: Result<AuthConfig, _> = serde_json::from_value(json!({"oidc": {"algorithms": ["HS256"]}}));
    assert!(unknown.unwrap_err().to_string().contains("RS256"), "what is not taken cannot be configured");
}
