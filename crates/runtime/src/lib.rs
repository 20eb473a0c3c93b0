//! Configuration, telemetry, shutdown, the database pool and CPU slots of a Gristmill process.

pub mod database;
pub mod slots;
