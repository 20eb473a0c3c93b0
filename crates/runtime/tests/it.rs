//! The runtime crate's integration tests, one binary.

mod it {
    mod config;
    mod shutdown;
    mod telemetry;
}
