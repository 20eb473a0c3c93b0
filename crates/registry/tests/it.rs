//! Integration tests of the registry stage.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod it {
    mod aliases;
    mod artifacts;
    mod bench;
    mod lineage;
    mod register;
    mod watch;
}
