//! Integration tests of the stage, one binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails where it stands")]

#[path = "it/job.rs"]
mod job;
#[path = "it/judge.rs"]
mod judge;
#[path = "it/world.rs"]
mod world;
