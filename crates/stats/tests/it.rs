//! Integration tests of the crate, one binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up fails where it stands")]
#![allow(clippy::disallowed_methods, reason = "tests may use the platform's functions as a reference")]

#[path = "it/calibration.rs"]
mod calibration;
#[path = "it/drift.rs"]
mod drift;
#[path = "it/gate.rs"]
mod gate;
#[path = "it/interval.rs"]
mod interval;
#[path = "it/metric.rs"]
mod metric;
#[path = "it/profile.rs"]
mod profile;
#[path = "it/schema.rs"]
mod schema;
