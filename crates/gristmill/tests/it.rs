//! The binary by itself: arguments, settings, exit codes. What it does with data is in the end-to-end tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests, helpers among them")]

mod it {
    mod commands;
    mod up;
}
