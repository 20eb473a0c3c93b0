//! Named points at which a test kills the process.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A moment in a job's life at which a crash is interesting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CrashPoint {
    /// The attempt is recorded, nothing is computed.
    AfterClaim,
    /// Somewhere in the computation.
    MidWork,
    /// Computed, no byte is in the store.
    BeforePut,
    /// The bytes are in the store, no row names them.
    AfterPut,
    /// Inside the committing transaction, before it is durable.
    InCommit,
    /// Durable, nobody has been told.
    AfterCommit,
}

/// Kills this process when a point is reached for the n-th time; does nothing unless armed. In a
/// release build it cannot be armed.
#[derive(Debug, Clone, Default)]
pub struct CrashPlan(Option<Arc<Armed>>);

#[derive(Debug)]
struct Armed {
    point: CrashPoint,
    left: AtomicI64,
}

impl CrashPoint {
    /// Every point, in the order of a job's life.
    pub const ALL: [Self; 6] =
        [Self::AfterClaim, Self::MidWork, Self::BeforePut, Self::AfterPut, Self::InCommit, Self::AfterCommit];

    /// The point's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AfterClaim => "after-claim",
            Self::MidWork => "mid-work",
            Self::BeforePut => "before-put",
            Self::AfterPut => "after-put",
            Self::InCommit => "in-commit",
            Self::AfterCommit => "after-commit",
        }
    }
}

impl FromStr for CrashPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|point| point.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is not a crash point: choose one of {names}")
        })
    }
}

impl CrashPlan {
    /// Never kills.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Kills at the `nth` time (from 1) that `point` is reached. In a release build: never.
    pub fn at(point: CrashPoint, nth: u32) -> Self {
        if cfg!(debug_assertions) {
            Self(Some(Arc::new(Armed { point, left: AtomicI64::new(nth.into()) })))
        } else {
            Self(None)
        }
    }

    /// Says that `point` is reached.
    pub fn reach(&self, point: CrashPoint) {
        if let Some(armed) = &self.0
            && armed.point == point
            && armed.left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            kill();
        }
    }
}

/// SIGKILL to oneself: no destructor runs, no buffer is flushed, as when the kernel does it.
fn kill() {
    let own = rustix::process::getpid();
    if rustix::process::kill_process(own, rustix::process::Signal::KILL).is_err() {
        std::process::abort();
    }
}
