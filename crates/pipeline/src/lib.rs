#![doc = include_str!("../README.md")]

mod clients;
mod config;
mod convert;
mod error;
pub mod file;
mod run;
mod service;
mod stage;
mod steps;

pub use clients::Channels;
pub use config::Config;
pub use error::PipelineError;
pub use stage::open;
