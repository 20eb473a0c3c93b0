//! The stage as its callers meet it: over the contract, with a real ledger, store and child process.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod it {
    mod bad_input;
    mod bench;
    mod file;
    mod flights;
    mod job;
}

/// Not a test of its own: the stage starts this binary as its child with this test's name.
#[test]
fn ingestion_child() {
    gristmill_frame::child::main_if_child();
}
