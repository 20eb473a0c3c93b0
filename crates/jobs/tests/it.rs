//! Integration tests of the ledger.

#[path = "it/bench.rs"]
mod bench;
#[path = "it/contract.rs"]
mod contract;
#[path = "it/crash.rs"]
mod crash;
#[path = "it/machine.rs"]
mod machine;
#[path = "it/workers.rs"]
mod workers;
