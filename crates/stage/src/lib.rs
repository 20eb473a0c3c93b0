#![doc = include_str!("../README.md")]

mod attempt;
mod deps;
mod error;
mod failure;
mod host;
pub mod memory;
mod roots;
pub mod serve;
mod verbs;

pub use attempt::{AttemptPin, AttemptStore};
pub use deps::{Assembled, DATABASE, StageDeps, data_dir, open_database, open_store};
pub use error::{job_error, ledger_problem, store_problem};
pub use failure::{Exit, Failure};
pub use host::{Host, Mounted, Ports, Surroundings};
pub use roots::{LedgerRoots, Limits, RemoteRoots, RootServer, StageRoots, Unreached};
pub use verbs::{Entry, EventStream, JobStage, JobVerbs, cache_key};
