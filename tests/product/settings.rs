//! Settings of the stages' programs: what is wrong is said, with the exit codes of every command.

use std::net::TcpListener;

use gristmill_tests::Desk;
use gristmill_tests::stages::{STAGES, Stages};

#[test]
fn every_program_tells_its_version_and_explains_its_settings() {
    let desk = Desk::new();
    for stage in STAGES {
        let program = format!("gristmill-{stage}");
        let version = desk.run_of(&program, &["--version"]);
        assert_eq!(
            (version.code, version.stdout.trim()),
            (0, format!("{program} {}", env!("CARGO_PKG_VERSION")).as_str())
        );
        let explained = desk.run_of(&program, &["serve", "--explain", "--slots", "3"]);
        assert_eq!(explained.code, 0, "{explained:?}");
        let line = |key: &str| explained.stdout.lines().find(|line| line.split_whitespace().next() == Some(key));
        assert!(line("slots").is_some_and(|line| line.contains("= 3  (flag slots)")), "{}", explained.stdout);
        assert!(line("grpc").is_some_and(|line| line.ends_with("(default)")), "{}", explained.stdout);
    }
}

#[test]
fn settings_come_from_file_environment_and_flags() {
    let desk = Desk::new();
    let file = desk.write("s.yaml", "slots: 2\ndrain_seconds: 4\nserving:\n  alias: live\nserver:\n  max_calls: 9\n");
    let mut command = desk.command_of("gristmill-serving", &["serve", "--explain", "--config", &file, "--slots", "5"]);
    command.env("GRISTMILL_SERVER__MAX_CALLS", "7").env("GRISTMILL_TOKEN", "env:SECRET").env("SECRET", "hush");
    let said = String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned();
    for expected in [
        "= 5  (flag slots)",
        "= 4  (file ",
        "= 7  (environment variable GRISTMILL_SERVER__MAX_CALLS)",
        "= \"live\"  (file ",
        "= \"env:SECRET\"  (environment variable GRISTMILL_TOKEN)",
    ] {
        assert!(said.contains(expected), "`{expected}` is not in {said}");
    }
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn wrong_settings_are_refused_before_anything_is_started() {
    let desk = Desk::new();
    let file = desk.write("s.yaml", "sever:\n  max_calls: 9\n");
    let serve = |stage: &str, more: &[&str]| {
        let args: Vec<&str> =
            ["serve", "--grpc=127.0.0.1:0", "--http=127.0.0.1:0"].iter().chain(more).copied().collect();
        desk.run_of(&format!("gristmill-{stage}"), &args)
    };
    serve("registry", &["--config", &file]).fails(2, &["unknown key `sever", "`server`"]);
    serve("registry", &["--config", "missing.yaml"]).fails(2, &["missing.yaml"]);
    serve("serving", &["--set", "serving.allias=x"]).fails(2, &["`serving.allias`", "`serving.alias`"]);
    serve("evaluation", &["--set", "peers.training=http://127.0.0.1:1"]).fails(2, &["peers.training"]);
    serve("pipeline", &["--set", "peers.trainning=http://127.0.0.1:1"]).fails(2, &["`peers.training`"]);
    serve("pipeline", &["--set", "peers.training=not an address"]).fails(2, &["peers.training", "http://"]);
    serve("registry", &["--set", "slots=many"]).fails(2, &["slots"]);
    serve("registry", &["--token", "hush"]).fails(2, &["env:NAME"]);
    serve("registry", &["--set", "database=env:DATABASE_URL"]).fails(2, &["database"]);
    serve("registry", &["--store", "ftp://somewhere/else"]).fails(2, &["store.url", "ftp://somewhere/else"]);
    serve("registry", &["--set", "auth.oidc.issuer=https://issuer"]).fails(2, &["auth.oidc", "`audience`"]);
    serve("registry", &["--set", "tls.cert=/c.pem"]).fails(2, &["`tls.cert`", "`tls.key`"]);
    serve("registry", &["--log", "not=a=filter"]).fails(2, &["log filter"]);
    serve("ingestion", &["--set", "ingestion.roots=[data]"]).fails(2, &["ingestion.roots", "data"]);
    serve("training", &["--set", "training.lease_seconds=1"]).fails(2, &["training.lease_seconds", "300"]);
    serve("registry", &["--nonsense"]).fails(2, &["--nonsense"]);
    desk.run_of("gristmill-training", &["work", "--endpoint", "nowhere at all"]).fails(2, &["peers.training"]);
    desk.run_of("gristmill-training", &["work", "--set", "database=env:X"]).fails(2, &["database"]);
    desk.run_of("gristmill-registry", &["work"]).fails(2, &["work"]);
    desk.run(&["runs", "list", "--endpoint", "pipeline=http://127.0.0.1:1"]).fails(2, &["no endpoint for ingestion"]);
}

#[test]
fn what_cannot_be_had_ends_the_program() {
    let desk = Desk::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    desk.run_of("gristmill-registry", &["serve", "--grpc", &address, "--http="]).fails(1, &[&address, "in use"]);
    desk.run_of("gristmill-registry", &["serve", "--grpc=0.0.0.0:0", "--http="]).fails(1, &["0.0.0.0", "token"]);

    let mut stages = Stages::new(&desk);
    stages.start("registry", &[]);
    stages.wait_ready("registry");
    let data = desk.path().join("registry").display().to_string();
    for verb in ["serve", "migrate"] {
        let args = [verb, "--data-dir", &data, "--grpc=127.0.0.1:0", "--http="];
        desk.run_of("gristmill-registry", &args).fails(1, &["is in use by the server on http://"]);
    }
    stages.kill("registry");
    let migrated = desk.run_of("gristmill-registry", &["migrate", "--data-dir", &data]);
    assert!(migrated.code == 0 && migrated.stdout.contains("registry stage: "), "{migrated:?}");
}
