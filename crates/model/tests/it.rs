//! Integration tests of the model crate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what went wrong by failing")]

mod it {
    mod build;
    mod equal;
    mod hostile;
    mod meaning;
    mod reference;
}
