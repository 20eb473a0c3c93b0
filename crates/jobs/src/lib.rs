#![doc = include_str!("../README.md")]

mod attempt;
mod convert;
mod crash;
mod error;
mod event;
mod job;
mod leases;
mod ledger;
mod query;
mod sql;
mod submit;
mod work;
mod workers;

pub use attempt::{Attempt, Cancel};
pub use convert::{event_message, job_message, watch_message};
pub use crash::{CrashPlan, CrashPoint};
pub use error::{JobError, LedgerError};
pub use event::{Event, EventKind, WatchItem};
pub use job::{AttemptRecord, Job, Observed, Progress};
pub use leases::{LeaseServer, Leases, LocalLeases, RemoteLeases};
pub use ledger::{Beat, Claim, Depth, Lease, Leased, Ledger, Reaped};
pub use query::{ListJobs, Page, PageToken};
pub use sql::{Options, SqlLedger};
pub use submit::{Submit, Submitted};
pub use work::{Done, Outcome, StageRows, Work};
pub use workers::{Running, Workers};
