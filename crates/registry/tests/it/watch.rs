//! Watching alias moves, as serving does.

use std::time::Duration;

use futures::StreamExt;
use gristmill_proto::registry as message;
use gristmill_registry::{AliasChange, Expected, RegistryConfig};
use gristmill_rpc::Problem;
use gristmill_types::ErrorCode;
use tonic::Streaming;

use super::bench::{Bench, name};

async fn promote(bench: &Bench, alias: &str, to: Option<u32>) {
    let change = AliasChange {
        name: name("fraud"),
        alias: name(alias),
        to,
        expected: Expected::Any,
        reason: String::new(),
        override_verdict: false,
    };
    bench.registry.move_alias(&bench.project(), &change, "ana").await.unwrap();
}

async fn watch(bench: &Bench, after_sequence: i64) -> Streaming<message::WatchModelAliasesResponse> {
    let request = message::WatchModelAliasesRequest { after_sequence, ..Default::default() };
    bench.client().watch_model_aliases(request).await.unwrap().into_inner()
}

/// The next move as `(alias, to, sequence)`; a watch that hangs fails the test.
async fn next(moves: &mut Streaming<message::WatchModelAliasesResponse>) -> (String, u32, i64) {
    let moved = tokio::time::timeout(Duration::from_secs(20), moves.next()).await.unwrap();
    let moved = moved.unwrap().unwrap().r#move.unwrap();
    (moved.alias, moved.to_version, moved.sequence)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_comes_first_and_then_every_move() {
    let bench = Bench::new().await;
    for number in 0..4 {
        bench.passed(&format!("trees {number}")).await;
    }
    promote(&bench, "champion", Some(1)).await;
    promote(&bench, "canary", Some(2)).await;
    promote(&bench, "champion", Some(3)).await;
    promote(&bench, "old", Some(1)).await;
    promote(&bench, "old", None).await;

    let mut moves = watch(&bench, 0).await;
    let canary = next(&mut moves).await;
    let champion = next(&mut moves).await;
    assert_eq!((canary.0.as_str(), canary.1), ("canary", 2));
    assert_eq!((champion.0.as_str(), champion.1), ("champion", 3));
    // What was removed before is not part of the state; the next thing to hear is the next move.
    promote(&bench, "champion", Some(4)).await;
    let live = next(&mut moves).await;
    assert_eq!((live.0.as_str(), live.1), ("champion", 4));
    promote(&bench, "canary", None).await;
    assert_eq!(next(&mut moves).await.1, 0);

    // Who was away goes on from the last number it has seen, and misses nothing.
    let mut again = watch(&bench, champion.2).await;
    let heard = [next(&mut again).await, next(&mut again).await, next(&mut again).await, next(&mut again).await];
    let heard: Vec<_> = heard.iter().map(|(alias, to, _)| (alias.as_str(), *to)).collect();
    assert_eq!(heard, [("old", 1), ("old", 0), ("champion", 4), ("canary", 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_moves_arrive_in_order() {
    let bench = Bench::new().await;
    for number in 0..2 {
        bench.passed(&format!("trees {number}")).await;
    }
    let mut moves = watch(&bench, 0).await;
    for turn in 0..60 {
        promote(&bench, "champion", Some(turn % 2 + 1)).await;
    }
    let mut last = 0;
    for turn in 0..60 {
        let (_, to, sequence) = next(&mut moves).await;
        assert_eq!(to, turn % 2 + 1);
        assert!(sequence > last);
        last = sequence;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_are_bounded_and_end_with_the_process() {
    let bench = Bench::with(&RegistryConfig { max_watches: 1, ..RegistryConfig::default() }).await;
    bench.passed("trees").await;
    let mut first = watch(&bench, 0).await;
    let request = message::WatchModelAliasesRequest::default();
    let problem = Problem::from(bench.client().watch_model_aliases(request).await.unwrap_err());
    assert_eq!((problem.code, &*problem.reason), (ErrorCode::ResourceExhausted, "TOO_MANY_WATCHES"));
    bench.deps.process.shutdown.request();
    let end = tokio::time::timeout(Duration::from_secs(20), first.next()).await.unwrap();
    assert!(end.is_none(), "{end:?}");
}
