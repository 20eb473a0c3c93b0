//! Two processes over the same tables.

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
