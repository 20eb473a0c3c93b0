//! Configuration, telemetry, shutdown, the database pool and CPU slots of a Gristmill process.
