//! Integration tests of the stage, one binary.

#[path = "it/job.rs"]
mod job;
#[path = "it/judge.rs"]
mod judge;
#[path = "it/world.rs"]
mod world;
