#![doc = include_str!("../README.md")]

mod config;
mod convert;
mod error;
mod prepare;
mod run;
mod service;
mod stage;

pub mod split;

pub use config::PreparationConfig;
pub use error::PreparationError;
pub use prepare::{DatasetFacts, Prepared, Settings, SplitReport, prepare};
pub use stage::{LOGIC_VERSION, open, open_with};
