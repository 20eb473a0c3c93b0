#![doc = include_str!("../README.md")]

mod attempt;
mod error;
mod verbs;

pub use attempt::{AttemptPin, AttemptStore};
pub use error::{job_error, ledger_problem, store_problem};
pub use verbs::{Entry, EventStream, JobStage, JobVerbs, cache_key};
