#![doc = include_str!("../README.md")]

mod attempt;
mod deps;
mod error;
mod verbs;

pub use attempt::{AttemptPin, AttemptStore};
pub use deps::{Assembled, StageDeps};
pub use error::{job_error, ledger_problem, store_problem};
pub use verbs::{Entry, EventStream, JobStage, JobVerbs, cache_key};
