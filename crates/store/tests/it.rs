//! Tests of the artifact store on every backend.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod it {
    pub mod bench;
    mod cache;
    mod cache_processes;
    mod conformance;
    mod crash;
    mod faults;
    pub mod faulty;
    mod folder;
    mod holders;
    mod opening;
    mod races;
    mod reads;
    mod speed;
    pub mod sweeps;
    mod wire;
    mod writes;
}
