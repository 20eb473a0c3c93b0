//! Integration tests of the evaluation stage.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails where it stands")]

mod it {
    mod job;
    mod made;
    mod verdict;
}
