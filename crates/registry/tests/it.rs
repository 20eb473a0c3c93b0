//! Integration tests of the registry stage.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

/// Every other test of this binary again, its tables on PostgreSQL.
#[test]
fn all_on_postgres() {
    gristmill_testpg::run_again("all_on_postgres");
}

mod it {
    mod aliases;
    mod artifacts;
    mod bench;
    mod lineage;
    mod register;
    mod shared;
    mod sweeps;
    mod watch;
}
