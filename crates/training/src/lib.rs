#![doc = include_str!("../README.md")]

mod board;
mod checkpoint;
mod config;
mod convert;
mod cpu;
mod error;
mod program;
mod scaler;
mod service;
mod sets;
mod stage;
mod study;
mod trial;

pub use board::{Board, ModelSummary};
pub use config::{TrainingConfig, WorkConfig};
pub use cpu::cpu_class;
pub use error::TrainingError;
pub use program::main;
pub use stage::{LOGIC_VERSION, Settings, open, open_with, trial_workers};
