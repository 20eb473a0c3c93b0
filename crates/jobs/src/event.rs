//! What happened to a job, in order.

use std::fmt;
use std::str::FromStr;

use gristmill_types::{Fence, JobId, JobState, Micros};

use crate::Progress;

/// One durable event; numbers of a job count up from 1 without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The job.
    pub job: JobId,
    /// Its number within the job.
    pub sequence: i64,
    /// The attempt it belongs to; 0 before the first.
    pub fence: Fence,
    /// What happened.
    pub kind: EventKind,
    /// The state after it.
    pub state: JobState,
    /// One line for people, often empty.
    pub message: String,
    /// When.
    pub at: Micros,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The job was recorded.
    Submitted,
    /// An attempt holds the lease.
    Claimed,
    /// The attempt was given back and does not count.
    Released,
    /// The attempt failed and the job waits for the next one.
    Retried,
    /// The lease ran out and the job waits for the next attempt.
    Lost,
    /// Somebody asked for the end of a running job.
    CancelRequested,
    /// Ended with a result.
    Succeeded,
    /// Ended without one.
    Failed,
    /// Ended on request.
    Cancelled,
}

/// One item of a watch.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchItem {
    /// A durable event.
    Event(Event),
    /// Progress of the running attempt: has no number and is not kept.
    Progress {
        /// Number of the latest event, to resume after.
        sequence: i64,
        /// When it was read.
        at: Micros,
        /// How far it is.
        progress: Progress,
    },
}

impl EventKind {
    const ALL: [Self; 9] = [
        Self::Submitted,
        Self::Claimed,
        Self::Released,
        Self::Retried,
        Self::Lost,
        Self::CancelRequested,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The kind's name in tables and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Claimed => "claimed",
            Self::Released => "released",
            Self::Retried => "retried",
            Self::Lost => "lost",
            Self::CancelRequested => "cancel_requested",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| format!("`{text}` is not an event kind"))
    }
}
