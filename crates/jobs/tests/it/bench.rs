//! A ledger to test, on every backend there is.

use std::sync::Arc;
use std::time::Duration;

use gristmill_jobs::{Claim, Leased, Ledger, Options, SqlLedger, Submit};
use gristmill_runtime::database::{DataDir, Database, PostgresConfig, Schema};
use gristmill_testpg::Server;
use gristmill_types::{ManualClock, Name, Project, RequestId, Secret};

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
    ground: Ground,
}

/// What a bench stands on; goes with it.
enum Ground {
    Sqlite(#[expect(dead_code, reason = "the folder goes with it")] tempfile::TempDir),
    Postgres(gristmill_testpg::Database<'static>),
}

/// Makes a test of each function, on each database: `both! { name, … }` for `async fn name(bench: Bench)`.
macro_rules! both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::bench::Bench::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(bench) = crate::bench::Bench::postgres().await else { return };
                super::$name(bench).await;
            })*
        }
    };
}
pub(crate) use both;

pub fn stage() -> Name {
    Name::new("mill").unwrap()
}

pub fn schema() -> Schema {
    Schema::new(&stage())
}

pub fn options(clock: Arc<ManualClock>) -> Options {
    Options { backoff: Duration::ZERO, seed: Some(7), reaper: false, database_clock: false, ..Options::new(clock) }
}

impl Bench {
    pub async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = DataDir::open(dir.path()).unwrap().database("test").await.unwrap();
        Self::on(db, Ground::Sqlite(dir)).await
    }

    /// None, after saying so, when no server is installed.
    pub async fn postgres() -> Option<Self> {
        let ground = Server::shared()?.database();
        let db = connect(&ground.url()).await;
        Some(Self::on(db, Ground::Postgres(ground)).await)
    }

    async fn on(db: Database, ground: Ground) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let ledger = SqlLedger::open(db.clone(), &stage(), options(clock.clone())).await.unwrap();
        let bench = Self { ledger, clock, db, restarts: 0, ground };
        bench.settle().await;
        bench
    }

    /// Opens the ledger again with other options.
    pub async fn change(&mut self, change: impl FnOnce(&mut Options)) {
        let mut options = options(self.clock.clone());
        change(&mut options);
        self.ledger = SqlLedger::open(self.db.clone(), &stage(), options).await.unwrap();
        self.settle().await;
    }

    /// What a restart of the process gives: a ledger over the same tables that knows nothing else. On a
    /// database that processes share, the leases of the dead run out first.
    pub async fn restart(&mut self) {
        self.ledger = self.another().await;
        if self.db.is_shared() {
            self.clock.advance(LEASE + 1);
            self.settle().await;
        }
    }

    /// A second handle, as another process on the same tables would have it.
    pub async fn another(&mut self) -> Arc<SqlLedger> {
        self.restarts += 1;
        // No two processes draw the same ids.
        let options = Options { seed: Some(7 + self.restarts), ..options(self.clock.clone()) };
        let db = match &self.ground {
            Ground::Sqlite(_) => self.db.clone(),
            Ground::Postgres(ground) => connect(&ground.url()).await,
        };
        SqlLedger::open(db, &stage(), options).await.unwrap()
    }

    /// A reaper that just began holds off one lease where others may live: until then.
    async fn settle(&self) {
        if self.db.is_shared() {
            self.ledger.reap().await.unwrap();
            self.clock.advance(LEASE);
            self.ledger.reap().await.unwrap();
        }
    }

    /// The server's database under it.
    pub fn server(&self) -> &gristmill_testpg::Database<'static> {
        match &self.ground {
            Ground::Postgres(ground) => ground,
            Ground::Sqlite(_) => panic!("SQLite has no server"),
        }
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

pub async fn connect(url: &str) -> Database {
    Database::connect(&PostgresConfig::new(Secret::new(url))).await.unwrap()
}
