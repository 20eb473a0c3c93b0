//! Integration tests of what stages share.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod it {
    mod bench;
    mod remote;
    mod roots;
}
