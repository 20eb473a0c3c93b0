//! Integration tests of the serving stage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what went wrong by failing")]

mod it {
    mod batch;
    mod log;
    mod protocol;
    mod registry;
    mod reload;
    mod rest;
    mod world;
}
