//! Draining, and the metrics of a process.

use gristmill_runtime::{Process, Shutdown};

#[tokio::test]
async fn a_request_reaches_every_clone_and_child_but_not_back() {
    let shutdown = Shutdown::new();
    let (clone, child) = (shutdown.clone(), shutdown.child());
    child.cancel();
    assert!(!shutdown.is_requested(), "a child's end concerns nobody else");
    let other = shutdown.child();
    let waiting = clone.requested();
    shutdown.request();
    shutdown.request();
    waiting.await;
    other.cancelled().await;
    assert!(clone.is_requested());
}

#[tokio::test]
async fn the_first_signal_starts_the_drain() {
    let shutdown = Shutdown::new();
    shutdown.listen().unwrap();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
    shutdown.requested().await;
    assert!(shutdown.is_requested());
}

#[test]
fn the_registry_starts_with_the_process_and_takes_more() {
    let process = Process::new();
    let counter = prometheus_client::metrics::counter::Counter::<u64>::default();
    process.metrics.register(|registry| registry.register("grains", "Grains milled", counter.clone()));
    counter.inc_by(3);
    let text = process.metrics.encode();
    assert!(text.contains("grains_total 3"), "{text}");
    assert!(text.contains("process_resident_memory_bytes"), "{text}");
    assert!(text.contains("process_cpu_seconds_total"), "{text}");
    assert!(gristmill_runtime::metrics::usage().resident_bytes > 1 << 20);
}
