//! Studies over the contract: digests, resume, cancellation, refusals.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what went wrong by failing")]

#[path = "it/refusals.rs"]
mod refusals;
#[path = "it/resume.rs"]
mod resume;
#[path = "it/same.rs"]
mod same;
#[path = "it/scaler.rs"]
mod scaler;
#[path = "it/support.rs"]
mod support;
