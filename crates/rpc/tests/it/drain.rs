//! The end of a server: what is under way finishes, what would never finish is ended.

use std::time::Duration;

use gristmill_rpc::{Auth, Problem, Request, ServerConfig};
use tonic::Code;

use super::bench::Bench;
use super::probe::{call, collect};

#[tokio::test]
async fn a_drain_ends_streams_after_the_grace_and_takes_nothing_new() {
    let config = ServerConfig { drain_seconds: 0, ..ServerConfig::default() };
    let bench = Bench::start(Auth::LoopbackOnly, config).await;
    let [local, remote] = bench.both();
    let watch = |channel: gristmill_rpc::Channel| {
        tokio::spawn(async move { collect(&channel, Request::new("hang".to_owned())).await.unwrap() })
    };
    assert_eq!(call(&remote, "Unary", "rye").await.unwrap(), "RYE");
    let watchers = [watch(local), watch(remote.clone())];
    while bench.process.metrics.encode().contains("rpc_server_active_requests 2").eq(&false) {
        tokio::task::yield_now().await;
    }
    bench.process.shutdown.request();
    for watcher in watchers {
        let mut all = watcher.await.unwrap();
        let last = all.pop().unwrap().unwrap_err();
        assert_eq!(last.code(), Code::Unavailable, "{last}");
        assert_eq!(Problem::from(&last).reason, "DRAINING");
        assert_eq!(all.pop().unwrap().unwrap(), "first", "what came before is kept");
    }
    tokio::time::timeout(Duration::from_secs(5), bench.serving).await.unwrap().unwrap();
    assert_eq!(call(&remote, "Unary", "rye").await.unwrap_err().code(), Code::Unavailable);
    assert!(bench.process.metrics.encode().contains("rpc_server_active_requests 0"));
}
