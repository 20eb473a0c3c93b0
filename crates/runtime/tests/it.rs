//! The runtime crate's integration tests, one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests, helpers among them")]

mod it {
    mod config;
    mod shutdown;
    mod telemetry;
}
