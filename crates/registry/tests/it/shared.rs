//! Two processes over the same tables.

use std::process::{Command, Output};

use futures::StreamExt;
use gristmill_registry::{AliasChange, Expected, Registry, RegistryConfig, RegistryError};
use gristmill_stage::StageDeps;

use super::bench::{Bench, connect, name};

fn to(version: u32, expected: Option<u32>) -> AliasChange {
    AliasChange {
        name: name("fraud"),
        alias: name("champion"),
        to: Some(version),
        expected: Expected::At(expected),
        reason: String::new(),
        override_verdict: false,
    }
}

/// Only where processes can share tables: the run on PostgreSQL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moves_are_compared_and_heard_across_processes() {
    let bench = Bench::new().await;
    let Some(ground) = &bench.ground else { return };
    let deps = StageDeps { database: connect(&ground.url()).await, ..bench.deps.clone() };
    let other = Registry::open(&deps, &RegistryConfig::default()).await.unwrap();
    for number in 0..16 {
        bench.passed(&format!("trees {number}")).await;
    }
    let mut moves = other.watch(&bench.project(), 0).await.unwrap();
    let mut stands = None;
    for round in 0..8_u32 {
        let (one, two) = (to(2 * round + 1, stands), to(2 * round + 2, stands));
        let project = bench.project();
        let (first, second) =
            tokio::join!(bench.registry.move_alias(&project, &one, "ana"), other.move_alias(&project, &two, "bob"));
        let (won, lost): (Vec<_>, Vec<_>) = [first, second].into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 1), "round {round}: {won:?} {lost:?}");
        assert!(matches!(lost[0], Err(RegistryError::AliasMoved { .. })), "{lost:?}");
        stands = won[0].as_ref().unwrap().to;
        let heard = tokio::time::timeout(std::time::Duration::from_secs(60), moves.next()).await;
        assert_eq!(heard.expect("told in time").unwrap().unwrap().to, stands);
    }
}

/// `gristmill-registry VERB`, told nothing else.
pub fn program(verb: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_gristmill-registry"));
    // What the tests were told is no setting of the program.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GRISTMILL_")) {
        program.env_remove(name);
    }
    program.arg(verb);
    program
}

/// `gristmill-registry migrate` on the database that `url` names.
fn migrate(bench: &Bench, url: &str) -> Output {
    let mut program = program("migrate");
    program.env("GRISTMILL_DATA_DIR", bench.folder().join("program")).env("TABLES", url);
    program.env("GRISTMILL_DATABASE", "env:TABLES").output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_migrates_a_database_server() {
    let bench = Bench::new().await;
    let Some(server) = gristmill_testpg::Server::shared() else { return };
    let ground = server.database();
    for lines in
        [["registry holder: 0 -> 1", "registry stage: 0 -> 1"], ["registry holder: 1 -> 1", "registry stage: 1 -> 1"]]
    {
        let output = migrate(&bench, &ground.url());
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && lines.iter().all(|line| told.contains(line)), "{output:?}");
    }
    let url = server.tcp_url("nowhere");
    let output = migrate(&bench, &url);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("refuses") && !told.contains("flour-and-water"), "{told}");
}
