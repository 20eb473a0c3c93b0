//! Integration tests of the pipeline stage.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "it/file.rs"]
mod file;
