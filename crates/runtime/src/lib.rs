#![doc = include_str!("../README.md")]

pub mod config;
pub mod database;
pub mod metrics;
pub mod process;
pub mod shutdown;
pub mod slots;
pub mod telemetry;

pub use metrics::Metrics;
pub use process::Process;
pub use shutdown::Shutdown;
