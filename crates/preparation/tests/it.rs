//! Integration tests of the preparation stage.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod it {
    mod job;
    mod split;
}
