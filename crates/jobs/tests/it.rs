//! Integration tests of the ledger.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "it/bench.rs"]
mod bench;
#[path = "it/contract.rs"]
mod contract;
#[path = "it/crash.rs"]
mod crash;
#[path = "it/kept.rs"]
mod kept;
#[path = "it/machine.rs"]
mod machine;
#[path = "it/protocol.rs"]
mod protocol;
#[path = "it/shared.rs"]
mod shared;
#[path = "it/throughput.rs"]
mod throughput;
#[path = "it/workers.rs"]
mod workers;
