//! Integration tests of the pipeline stage.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "it/file.rs"]
mod file;
#[path = "it/house.rs"]
mod house;
#[path = "it/registry.rs"]
mod registry;
#[path = "it/runs.rs"]
mod runs;
