//! Files, SQL and joins as a stage uses them, with a real child process.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails where it stands")]

mod it {
    pub mod bench;
    mod bounds;
    mod determinism;
    mod files;
    mod flights;
    mod joins;
    mod sql;
}

/// Not a test of its own: the parent starts this binary as its child with this test's name.
#[test]
fn frame_child() {
    gristmill_frame::child::main_if_child();
}
