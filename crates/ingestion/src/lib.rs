#![doc = include_str!("../README.md")]

mod config;
mod convert;
mod error;
mod file;
mod run;
mod service;
mod settings;
pub mod stage;

pub use config::IngestionConfig;
pub use error::IngestionError;
pub use file::{profile_file, validate_file};
pub use settings::Settings;
pub use stage::{LOGIC_VERSION, open, open_with};
