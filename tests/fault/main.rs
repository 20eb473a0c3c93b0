//! The stages' programs under faults: see README.md, which has the table of what is covered.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails where it stands")]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

mod check;
mod clock;
mod database;
mod flour;
mod history;
mod judged;
mod long;
mod mill;
mod network;
mod objects;
mod proxy;
mod service;
mod workers;

/// How long anything may take to come about, faults included, on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Where proxies, the object store and clients run.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        // Others need the processor to bring it about.
        std::thread::sleep(Duration::from_millis(10));
    }
}
