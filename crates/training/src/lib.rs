#![doc = include_str!("../README.md")]

mod board;
mod checkpoint;
mod convert;
mod cpu;
mod error;
mod scaler;
mod service;
mod sets;
mod stage;
mod study;
mod trial;

pub use board::{Board, ModelSummary};
pub use cpu::cpu_class;
pub use error::TrainingError;
pub use stage::{LOGIC_VERSION, Settings, open, open_with, trial_workers};
