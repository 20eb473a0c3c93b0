//! A real process is killed at every named point and started again on what it left.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use gristmill_jobs::{
    Attempt, CrashPlan, CrashPoint, Done, EventKind, JobError, Ledger, LocalLeases, Options, Outcome, SqlLedger,
    Submit, Work, Workers,
};
use gristmill_runtime::database::{DataDir, Database, Migration, Sql, Tx};
use gristmill_runtime::slots::Slots;
use gristmill_runtime::values;
use gristmill_testpg::Server;
use gristmill_types::{ArtifactKind, ArtifactRef, Digest, JobId, JobState, SystemClock};

use crate::bench::{connect, project, request, schema, stage};

const DIR: &str = "GRISTMILL_TEST_CRASH_DIR";
const URL: &str = "GRISTMILL_TEST_CRASH_URL";
const POINT: &str = "GRISTMILL_TEST_CRASH_POINT";
const NTH: &str = "GRISTMILL_TEST_CRASH_NTH";
const JOBS: usize = 4;

/// On a database that processes share, the leases of the dead run out: soon.
const LEASE: Duration = Duration::from_secs(1);

/// The stage's own rows; without a key, so that a second writing would show.
const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "flour",
    sql: "create table {s}flour (job text not null, fence bigint not null, digest text not null);",
}];

/// Writes one file per job, named by its digest, as an object store would.
struct Grind {
    dir: PathBuf,
    rows: Sql,
}

impl Work for Grind {
    const KIND: &'static str = "grind";

    async fn run(&self, attempt: Attempt) -> Result<Outcome, JobError> {
        let grain = attempt.payload().to_vec();
        let crash = attempt.clone();
        let bytes = attempt
            .blocking(move |cancel| {
                cancel.check()?;
                crash.reach(CrashPoint::MidWork);
                Ok(grain.repeat(1_000))
            })
            .await?;
        let digest = Digest::of(&bytes);
        attempt.reach(CrashPoint::BeforePut);
        attempt.pin(&[digest]).await?;
        write_durably(&self.dir.join(digest.to_string()), &bytes);
        attempt.reach(CrashPoint::AfterPut);
        Ok(Outcome::new(bytes).output(ArtifactRef { kind: ArtifactKind::Model, digest }))
    }

    async fn rows(&self, tx: &mut Tx, done: Done<'_>) -> Result<(), JobError> {
        tx.execute(&self.rows, values![done.job.id, done.job.fence, done.outputs[0].digest]).await?;
        Ok(())
    }
}

fn write_durably(path: &Path, bytes: &[u8]) {
    let mut file = File::create(path).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
}

/// The database of a life: a file in the folder, or the one at the URL.
async fn open(dir: &Path, url: Option<&str>) -> Database {
    match url {
        Some(url) => connect(url).await,
        None => DataDir::open(dir).unwrap().database("test").await.unwrap(),
    }
}

/// The life of one process: submits everything (acknowledged ids go to a file), works until all is done.
async fn live(dir: &Path, url: Option<&str>, crash: CrashPlan) {
    let db = open(dir, url).await;
    let schema = schema();
    db.migrate(&schema, MIGRATIONS).await.unwrap();
    let mut options = Options { crash: crash.clone(), ..Options::new(Arc::new(SystemClock)) };
    if db.is_shared() {
        options.lease = LEASE;
    }
    let ledger: Arc<dyn Ledger> = SqlLedger::open(db, &stage(), options).await.unwrap();
    let mut acknowledged = OpenOptions::new().create(true).append(true).open(dir.join("acknowledged")).unwrap();
    let mut ids = Vec::new();
    for n in 0..JOBS {
        let payload = format!("grain {n};").into_bytes();
        let submit = Submit::new(project(), Grind::KIND, request(&format!("job-{n}")), payload).max_attempts(50);
        let id = ledger.submit(submit).await.unwrap().job.id;
        writeln!(acknowledged, "{n} {id}").unwrap();
        acknowledged.sync_all().unwrap();
        ids.push(id);
    }
    let rows = Sql::new(&schema, "insert into {s}flour (job, fence, digest) values ($1, $2, $3)");
    let work = Arc::new(Grind { dir: dir.to_owned(), rows });
    let workers = Workers::new("child", Slots::new(NonZeroUsize::new(2).unwrap()))
        .crash(crash)
        .serve(Arc::new(LocalLeases::new(ledger.clone())), work, 2)
        .start();
    for id in ids {
        ledger.finished(&project(), id).await.unwrap();
    }
    workers.drain(Duration::from_secs(5)).await;
}

/// Not a test of its own: the body of the processes that the test below starts and kills.
#[test]
#[ignore = "a process to kill: `cargo test -p gristmill-jobs every_point_can_be_survived` starts it"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let crash = match std::env::var(POINT) {
        Ok(point) => CrashPlan::at(point.parse().unwrap(), std::env::var(NTH).unwrap().parse().unwrap()),
        Err(_) => CrashPlan::none(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(live(Path::new(&dir), std::env::var(URL).ok().as_deref(), crash));
}

fn start(dir: &Path, url: Option<&str>, crash: Option<(CrashPoint, u32)>) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::child", "--ignored", "--quiet"]).env(DIR, dir);
    command.env_remove(POINT).stdout(std::process::Stdio::null());
    if let Some(url) = url {
        command.env(URL, url);
    }
    if let Some((point, nth)) = crash {
        command.env(POINT, point.as_str()).env(NTH, nth.to_string());
    }
    command.status().unwrap()
}

/// Starts processes on one directory, each killed at the given point, and lets a last one finish.
fn survive(url: Option<&str>, kills: &[(CrashPoint, u32)]) {
    let dir = tempfile::tempdir().unwrap();
    for kill in kills {
        assert_eq!(start(dir.path(), url, Some(*kill)).signal(), Some(9), "{kill:?} was not reached");
    }
    assert!(start(dir.path(), url, None).success(), "after {kills:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(check(dir.path(), url, kills.len()));
}

async fn check(dir: &Path, url: Option<&str>, kills: usize) {
    let db = open(dir, url).await;
    let options = Options { reaper: false, ..Options::new(Arc::new(SystemClock)) };
    let ledger = SqlLedger::open(db.clone(), &stage(), options).await.unwrap();
    let rows = Sql::new(&schema(), "select fence, digest from {s}flour where job = $1");
    let mut by_request: BTreeMap<String, JobId> = BTreeMap::new();
    for line in std::fs::read_to_string(dir.join("acknowledged")).unwrap().lines() {
        let (n, id) = line.split_once(' ').unwrap();
        let id = id.parse().unwrap();
        assert_eq!(*by_request.entry(n.to_owned()).or_insert(id), id, "a request names one job for ever");
    }
    assert_eq!(by_request.len(), JOBS);
    for id in by_request.into_values() {
        let job = ledger.get(&project(), id).await.unwrap();
        assert_eq!(job.state, JobState::Succeeded);
        let events = ledger.events(&project(), id, 0, 1_000).await.unwrap();
        assert_eq!(events.iter().filter(|event| event.state.is_terminal()).count(), 1, "one final state");
        let fences: Vec<_> = events.iter().filter(|e| e.kind == EventKind::Claimed).map(|e| e.fence).collect();
        assert!(fences.is_sorted_by(|a, b| a < b), "fences strictly increase");
        assert!(fences.len() <= kills + 1, "finished work is not repeated");
        let rows = db.fetch(&rows, values![id]).await.unwrap();
        assert_eq!(rows.len(), 1, "stage rows are written once");
        assert_eq!(rows[0].get::<i64>("fence").unwrap(), job.fence);
        let digest = job.outputs[0].digest;
        assert_eq!(rows[0].get::<Digest>("digest").unwrap(), digest);
        let bytes = std::fs::read(dir.join(digest.to_string())).unwrap();
        assert_eq!(Digest::of(&bytes), digest, "committed bytes are there");
    }
}

#[test]
fn every_point_can_be_survived() {
    for point in CrashPoint::ALL {
        survive(None, &[(point, 1), (point, 2)]);
    }
}

#[test]
fn every_point_can_be_survived_on_postgres() {
    let Some(server) = Server::shared() else { return };
    // Side by side: most of the time goes into waiting for leases to run out.
    std::thread::scope(|scope| {
        for point in CrashPoint::ALL {
            scope.spawn(move || survive(Some(&server.database().url()), &[(point, 1), (point, 2)]));
        }
    });
}

fn history() -> Vec<(CrashPoint, u32)> {
    CrashPoint::ALL.into_iter().rev().map(|point| (point, 1)).skip(1).collect()
}

#[test]
fn a_history_of_crashes_can_be_survived() {
    survive(None, &history());
}

#[test]
fn a_history_of_crashes_can_be_survived_on_postgres() {
    let Some(server) = Server::shared() else { return };
    survive(Some(&server.database().url()), &history());
}
