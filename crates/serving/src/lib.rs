#![doc = include_str!("../README.md")]

mod batch;
mod config;
mod deployed;
mod error;
mod follow;
mod http;
mod inference;
mod json;
mod log;
mod metrics;
mod models;
mod rows;
mod scratch;
mod service;
mod stage;
mod tables;
mod tensor;

pub use config::ServingConfig;
pub use error::ServingError;
pub use json::JsonError;
pub use log::LogConfig;
pub use stage::{LOGIC_VERSION, Serving, open};
