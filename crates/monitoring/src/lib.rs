#![doc = include_str!("../README.md")]

mod config;
mod convert;
mod error;
mod monitor;
mod page;
mod rows;
mod run;
mod scores;
mod service;
mod stage;

pub use config::MonitoringConfig;
pub use error::MonitoringError;
pub use monitor::{Findings, InputCounts, ModelFacts, Settings, State, monitor};
pub use page::page;
pub use scores::{ScoreDrift, Scores};
pub use stage::{LOGIC_VERSION, open, open_with};
