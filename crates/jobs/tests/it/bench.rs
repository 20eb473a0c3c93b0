//! A ledger to test, on every backend there is.

use std::sync::Arc;
use std::time::Duration;

use gristmill_jobs::{Claim, Leased, Ledger, Options, SqlLedger, Submit};
use gristmill_runtime::database::{DataDir, Database};
use gristmill_types::{ManualClock, Name, Project, RequestId};

pub const SECOND: i64 = 1_000_000;
pub const LEASE: i64 = 60 * SECOND;
/// A morning in 2025.
pub const START: i64 = 1_750_000_000 * SECOND;

/// A ledger whose clock stands still until told, without a reaper of its own.
pub struct Bench {
    pub ledger: Arc<dyn Ledger>,
    pub clock: Arc<ManualClock>,
    pub db: Database,
    restarts: u64,
    _dir: tempfile::TempDir,
}

pub fn stage() -> Name {
    Name::new("mill").unwrap()
}

pub fn options(clock: Arc<ManualClock>) -> Options {
    Options { backoff: Duration::ZERO, seed: Some(7), reaper: false, ..Options::new(clock) }
}

impl Bench {
    pub async fn sqlite() -> Self {
        Self::sqlite_with(|_| {}).await
    }

    pub async fn sqlite_with(change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = DataDir::open(dir.path()).unwrap().database("test").await.unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let mut options = options(clock.clone());
        change(&mut options);
        let ledger = SqlLedger::open(db.clone(), &stage(), options).await.unwrap();
        Self { ledger, clock, db, restarts: 0, _dir: dir }
    }

    /// What a restart of the process gives: a ledger over the same tables that knows nothing else.
    pub async fn restart(&mut self) {
        self.restarts += 1;
        // No two processes draw the same ids.
        let options = Options { seed: Some(7 + self.restarts), ..options(self.clock.clone()) };
        self.ledger = SqlLedger::open(self.db.clone(), &stage(), options).await.unwrap();
    }

    pub async fn submit(&self, request: &str) -> gristmill_jobs::Job {
        self.ledger.submit(submit(request)).await.unwrap().job
    }

    pub async fn claim(&self) -> Leased {
        self.ledger.claim(&claim("w1")).await.unwrap().expect("a job waits")
    }
}

pub fn project() -> Project {
    Project::default()
}

pub fn request(text: &str) -> RequestId {
    RequestId::new(text).unwrap()
}

pub fn submit(text: &str) -> Submit {
    Submit::new(project(), "grind", request(text), text.as_bytes().to_vec())
}

pub fn claim(worker: &str) -> Claim {
    Claim { worker: worker.into(), kinds: vec!["grind".into()], spec_version: 1 }
}
