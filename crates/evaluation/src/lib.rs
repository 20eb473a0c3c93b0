#![doc = include_str!("../README.md")]

mod config;
mod convert;
mod document;
mod error;
mod evaluate;
mod opened;
mod page;
mod run;
mod service;
mod stage;

pub use config::EvaluationConfig;
pub use document::{Curves, Evaluation, ModelFacts, RowFacts, VerdictFile};
pub use error::EvaluationError;
pub use evaluate::{Candidate, Inputs, Settings, evaluate};
pub use page::page;
pub use stage::{LOGIC_VERSION, open, open_with};
