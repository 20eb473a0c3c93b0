//! Integration tests of the crate, one binary.

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
