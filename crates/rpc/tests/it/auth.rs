//! Who may call what: every rpc of the contracts for every role, over both transports.

use std::io::Write;
use std::sync::Arc;

use gristmill_rpc::auth::{Tokens, token_hash};
use gristmill_rpc::{Auth, AuthConfig, Problem, Request, ServerConfig, ServerError};
use gristmill_types::{Permission, Role};
use tonic::Code;

use super::bench::Bench;
use super::certs::{Ca, When};
use super::issuer::{self, KeyServer, Signer, key_set};
use super::probe::{call, path, send};

/// The role matrix as the security design states it, written down a second time on purpose:
/// data-scientist, ml-engineer, software-engineer, data-engineer, admin.
const MATRIX: [(Permission, [bool; 5]); 14] = [
    (Permission::Public, [true, true, true, true, true]),
    (Permission::Read, [true, true, true, true, true]),
    (Permission::WriteData, [false, false, false, true, true]),
    (Permission::WritePreparation, [true, true, false, true, true]),
    (Permission::WriteTraining, [true, true, false, false, true]),
    (Permission::WriteEvaluation, [true, true, false, false, true]),
    (Permission::WriteModel, [true, true, false, false, true]),
    (Permission::PromoteModel, [false, true, false, false, true]),
    (Permission::Deploy, [false, true, true, false, true]),
    (Permission::Predict, [true, true, true, false, true]),
    (Permission::WriteMonitoring, [false, true, true, false, true]),
    (Permission::RunPipeline, [true, true, false, false, true]),
    (Permission::Work, [false, false, false, false, true]),
    (Permission::Administer, [false, false, false, false, true]),
];

fn tokens() -> Tokens {
    read(&token_file()).unwrap()
}

fn token_file() -> String {
    let mut text = String::from("tokens:\n");
    for role in Role::ALL {
        let hash = token_hash(&format!("token of {role}"));
        text.push_str(&format!("  - {{name: {role}, sha256: {hash}, projects: {{default: [{role}]}}}}\n"));
    }
    let hash = token_hash("token of probe");
    text.push_str(&format!(
        "  - {{name: probe, sha256: {hash}, service: true, projects: {{mill: [data-scientist]}}}}\n"
    ));
    text
}

fn read(text: &str) -> Result<Tokens, gristmill_rpc::auth::TokensError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Tokens::read(file.path())
}

async fn guarded() -> (Bench, Arc<Tokens>) {
    let tokens = Arc::new(tokens());
    (Bench::start(Auth::Tokens(Arc::clone(&tokens)), ServerConfig::default()).await, tokens)
}

fn text(text: &str) -> Request<String> {
    Request::new(text.to_owned())
}

#[tokio::test]
async fn every_rpc_is_open_to_exactly_the_roles_of_the_matrix() {
    let (bench, tokens) = guarded().await;
    for (at, role) in Role::ALL.into_iter().enumerate() {
        let local = bench.local.channel_as(tokens.named(role.as_str()).unwrap());
        let remote = bench.remote(Some(&format!("token of {role}")));
        for channel in [local, remote] {
            for (rpc, permission) in gristmill_proto::PERMISSIONS {
                let (_, row) = MATRIX.iter().find(|(known, _)| known == permission).unwrap();
                let status = path(&channel, rpc, text("")).await.unwrap_err();
                // No stage is mounted: what is allowed meets nothing behind the guard.
                let expected = if row[at] { Code::Unimplemented } else { Code::PermissionDenied };
                assert_eq!(status.code(), expected, "{role} {rpc} {channel:?}: {status}");
                let lacks = Problem::from(&status).reason == "NOT_PERMITTED";
                assert_eq!(lacks, !row[at], "{role} {rpc}: {status}");
            }
        }
    }
}

#[tokio::test]
async fn the_matrix_is_the_same_over_tls_with_hashed_and_with_signed_tokens() {
    let ca = Ca::new();
    ca.give("mill", &["localhost"], When::Now);
    let signer = Signer::es256();
    let keys = KeyServer::start(Some(key_set(&[signer.jwk("a")]))).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(token_file().as_bytes()).unwrap();
    let auth =
        AuthConfig { tokens: Some(file.path().into()), oidc: issuer::config(keys.url()), ..AuthConfig::default() };
    let bench = Bench::open_with(&auth, ServerConfig { tls: ca.server("mill"), ..ServerConfig::default() }).await;
    for (at, role) in Role::ALL.into_iter().enumerate() {
        let hashed = format!("token of {role}");
        let signed = signer.sign("a", &issuer::claims(&format!("{role}@example.org"), &[role.as_str()]));
        for token in [hashed, signed] {
            let channel = bench.secured(ca.client(), Some(&token));
            for (rpc, permission) in gristmill_proto::PERMISSIONS {
                let (_, row) = MATRIX.iter().find(|(known, _)| known == permission).unwrap();
                let status = path(&channel, rpc, text("")).await.unwrap_err();
                let expected = if row[at] { Code::Unimplemented } else { Code::PermissionDenied };
                assert_eq!(status.code(), expected, "{role} {rpc}: {status}");
            }
        }
    }
    let late = signer.sign("a", &serde_json::json!({"exp": issuer::now() - 600}));
    let cases = [(None, "NO_TOKEN"), (Some("guessed"), "UNKNOWN_TOKEN"), (Some(late.as_str()), "TOKEN_ISSUER")];
    for (token, reason) in cases {
        let channel = bench.secured(ca.client(), token);
        for (rpc, permission) in gristmill_proto::PERMISSIONS {
            let status = path(&channel, rpc, text("")).await.unwrap_err();
            if *permission == Permission::Public && token.is_none() {
                assert_eq!(status.code(), Code::Unimplemented, "{rpc}: {status}");
            } else {
                assert_eq!(status.code(), Code::Unauthenticated, "{rpc}: {status}");
                assert_eq!(Problem::from(&status).reason, reason, "{rpc}");
            }
        }
    }
}

#[tokio::test]
async fn without_a_known_token_only_what_is_public_is_open() {
    let (bench, _) = guarded().await;
    for (channel, reason) in [(bench.remote(None), "NO_TOKEN"), (bench.remote(Some("guessed")), "UNKNOWN_TOKEN")] {
        for (rpc, permission) in gristmill_proto::PERMISSIONS {
            let status = path(&channel, rpc, text("")).await.unwrap_err();
            if *permission == Permission::Public && reason == "NO_TOKEN" {
                assert_eq!(status.code(), Code::Unimplemented, "{rpc}: {status}");
            } else {
                assert_eq!(status.code(), Code::Unauthenticated, "{rpc}: {status}");
                assert_eq!(Problem::from(&status).reason, reason, "{rpc}");
            }
        }
    }
}

#[tokio::test]
async fn rights_end_at_the_project() {
    let (bench, tokens) = guarded().await;
    for channel in
        [bench.local.channel_as(tokens.named("data-scientist").unwrap()), bench.remote(Some("token of data-scientist"))]
    {
        for project in ["", "default"] {
            assert_eq!(call(&channel, "Who", project).await.unwrap(), "data-scientist in default");
        }
        let other = call(&channel, "Who", "mill").await.unwrap_err();
        assert_eq!(other.code(), Code::PermissionDenied, "{other}");
        assert!(other.message().contains("`write_training` in project mill"), "{other}");
        for wrong in ["../default", "DEFAULT", "a/b", "%2e", "é"] {
            let status = call(&channel, "Who", wrong).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{wrong}: {status}");
            assert_eq!(Problem::from(&status).violations[0].field, "project");
        }
    }
}

#[tokio::test]
async fn a_service_speaks_for_others_with_their_rights_and_nobody_else_does() {
    let (bench, tokens) = guarded().await;
    let behalf = |name: &str, project: &str| {
        let mut request = text(project);
        request.metadata_mut().insert("gristmill-on-behalf-of", name.parse().unwrap());
        request
    };
    let service = bench.remote(Some("token of probe"));
    assert_eq!(call(&service, "Who", "mill").await.unwrap(), "probe in mill");
    let seen = send(&service, "Who", behalf("data-scientist", "default")).await.unwrap();
    assert_eq!(seen, "data-scientist via probe in default");
    let less = send(&service, "Who", behalf("software-engineer", "default")).await.unwrap_err();
    assert_eq!(Problem::from(&less).reason, "NOT_PERMITTED", "the right is not the service's: {less}");
    let work = path(&service, "/gristmill.job.v1alpha1.LeaseService/ClaimJob", text("")).await.unwrap_err();
    assert_eq!(work.code(), Code::Unimplemented, "leased work is a service's: {work}");
    let lent = path(&service, "/gristmill.job.v1alpha1.LeaseService/ClaimJob", behalf("data-scientist", ""));
    assert_eq!(lent.await.unwrap_err().code(), Code::PermissionDenied, "and is not lent");
    let nobody = send(&service, "Who", behalf("nobody", "default")).await.unwrap_err();
    assert_eq!(Problem::from(&nobody).reason, "UNKNOWN_PRINCIPAL");
    // With its own rights, on account of somebody: what a data-scientist may not, the run he started may.
    for channel in [bench.remote(Some("token of probe")), bench.local.channel_as(tokens.named("probe").unwrap())] {
        let steps = channel.initiated_by(Some("ana via gateway"));
        assert_eq!(call(&steps, "Who", "mill").await.unwrap(), "ana via gateway via probe in mill");
        let elsewhere = call(&steps, "Who", "default").await.unwrap_err();
        assert_eq!(Problem::from(&elsewhere).reason, "NOT_PERMITTED", "the name brings no rights");
        assert_eq!(call(&channel, "Who", "mill").await.unwrap(), "probe in mill");
    }
    let person = bench.remote(Some("token of ml-engineer"));
    let named = call(&person.initiated_by(Some("admin")), "Who", "default").await.unwrap_err();
    assert_eq!(Problem::from(&named).reason, "NOT_A_SERVICE");
    let forged = send(&person, "Who", behalf("admin", "default")).await.unwrap_err();
    assert_eq!(Problem::from(&forged).reason, "NOT_A_SERVICE");
    // One stage calling another for its caller, inside the process.
    for channel in
        [bench.local.channel_as(tokens.named("data-scientist").unwrap()), bench.remote(Some("token of data-scientist"))]
    {
        assert_eq!(call(&channel, "Forward", "default").await.unwrap(), "data-scientist via probe in default");
        assert_eq!(call(&channel, "Forward", "mill").await.unwrap_err().code(), Code::PermissionDenied);
    }
}

#[tokio::test]
async fn an_address_beyond_loopback_needs_tokens_and_a_loud_word() {
    let open = Bench::open().await;
    let refused = open.server.listen("0.0.0.0:0").await.unwrap_err();
    assert!(matches!(refused, ServerError::Unprotected { .. }), "{refused}");
    for word in ["name a token file", "set `tls.cert` and `tls.key`", "say `insecure`"] {
        assert!(refused.to_string().contains(word), "{word}: {refused}");
    }
    let (guarded, _) = guarded().await;
    let refused = guarded.server.listen("0.0.0.0:0").await.unwrap_err();
    assert!(refused.to_string().contains("nothing is encrypted"), "{refused}");
    assert!(!refused.to_string().contains("token file"), "there is one: {refused}");
    let config = ServerConfig { insecure: true, ..ServerConfig::default() };
    let told = Bench::start(Auth::Tokens(Arc::new(tokens())), config).await;
    assert!(told.server.listen("0.0.0.0:0").await.is_ok());
    let taken = open.server.listen(&open.address.to_string()).await.unwrap_err();
    assert!(taken.to_string().contains("the port is in use"), "{taken}");
    let nonsense = open.server.listen("not an address").await.unwrap_err();
    assert!(nonsense.to_string().contains("host:port"), "{nonsense}");
}

#[tokio::test]
async fn told_so_an_open_server_answers_other_machines_and_else_it_does_not() {
    // No packet is sent: this only asks which address of this machine the way out has.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr()).map(|address| address.ip());
    let Ok(own) = own else {
        eprintln!("SKIPPED: this machine has no address but loopback");
        return;
    };
    let config = ServerConfig { insecure: true, allowed_hosts: vec![own.to_string()], ..ServerConfig::default() };
    let bench = Bench::start(Auth::LoopbackOnly, config).await;
    let listener = bench.server.listen("0.0.0.0:0").await.unwrap();
    let endpoint = format!("{own}:{}", listener.local_addr().unwrap().port());
    let server = Arc::clone(&bench.server);
    tokio::spawn(async move { server.serve(listener, gristmill_rpc::Surface::Grpc).await });
    let far = gristmill_rpc::Channel::remote(&endpoint, None).unwrap();
    assert_eq!(call(&far, "Who", "mill").await.unwrap(), "local in mill");
    // The same caller at a server that was not told: the listener is the test's own, past the check.
    let config = ServerConfig { allowed_hosts: vec![own.to_string()], ..ServerConfig::default() };
    let careful = Bench::start(Auth::LoopbackOnly, config).await;
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let endpoint = format!("{own}:{}", listener.local_addr().unwrap().port());
    let server = Arc::clone(&careful.server);
    tokio::spawn(async move { server.serve(listener, gristmill_rpc::Surface::Grpc).await });
    let far = gristmill_rpc::Channel::remote(&endpoint, None).unwrap();
    let refused = call(&far, "Who", "mill").await.unwrap_err();
    assert_eq!(Problem::from(&refused).reason, "NOT_LOOPBACK");
}

#[test]
fn a_wrong_token_file_is_refused_with_the_entry() {
    let hash = token_hash("x");
    assert_eq!(hash, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", "printf %s x | sha256sum");
    let cases = [
        ("tokens: [{name: a, sha256: 12, projects: {}}]".to_owned(), "64 hexadecimal digits"),
        (format!("tokens: [{{name: a, sha256: {hash}, projects: {{default: [boss]}}}}]"), "`boss` is not a role"),
        (format!("tokens: [{{name: a, sha256: {hash}, projects: {{../x: [admin]}}}}]"), "is not a project name"),
        (format!("tokens: [{{name: '', sha256: {hash}, projects: {{}}}}]"), "1 to 128"),
        (format!("tokens: [{{name: a, sha256: {hash}, projects: {{}}, admin: true}}]"), "admin"),
        (
            format!(
                "tokens: [{{name: a, sha256: {hash}, projects: {{}}}}, {{name: b, sha256: {hash}, projects: {{}}}}]"
            ),
            "the same token",
        ),
    ];
    for (text, expected) in cases {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
