//! How many empty jobs a ledger does, and whether a long queue slows a claim.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gristmill_jobs::{Claim, Ledger, Observed, Options, Outcome, SqlLedger, Submit};
use gristmill_runtime::database::{DataDir, Database, Sql};
use gristmill_runtime::values;
use gristmill_types::SystemClock;

use crate::bench::{connect, project, request, schema, stage};

/// How long each figure is measured.
const LENGTH: Duration = Duration::from_secs(4);
/// Claims timed at each length of the queue.
const CLAIMS: usize = 300;

/// Jobs that wait, spread over `$1` projects; the oldest first in number.
const FILL: &str = "with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < $2) \
    insert into {s}job (id, project, kind, state, spec_version, payload, priority, fence, tries, max_attempts, \
    cancel_requested, created_at, run_at, outputs, cpu_micros, peak_bytes, sequence) \
    select '0000000000000000000' || cast(1000000 + i as text), 'p' || cast(i % $1 as text), 'grind', 'queued', 1, $3, 0, \
    0, 0, 8, 0, i, i, '', 0, 0, 0 from n";

async fn open(db: &Database) -> Arc<SqlLedger> {
    let options = Options { max_queued: 1_000_000, reaper: false, ..Options::new(Arc::new(SystemClock)) };
    SqlLedger::open(db.clone(), &stage(), options).await.unwrap()
}

fn claim() -> Claim {
    Claim { worker: "w".into(), kinds: vec!["grind".into()], spec_version: 1 }
}

/// The value below which `share` of the times lie, milliseconds.
fn quantile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a short list")]
    let at = ((times.len() - 1) as f64 * share).round() as usize;
    times[at].as_secs_f64() * 1e3
}

/// Submit, claim and commit, over and over, by `claimers` at once.
async fn cycles(name: &str, ledger: &Arc<SqlLedger>, claimers: usize) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let start = Instant::now();
    let tasks = (0..claimers).map(|_| {
        let ledger = Arc::clone(ledger);
        tokio::spawn(async move {
            let mut times = Vec::new();
            while start.elapsed() < LENGTH {
                let begin = Instant::now();
                let name = format!("r{}", NUMBER.fetch_add(1, Ordering::Relaxed));
                ledger.submit(Submit::new(project(), "grind", request(&name), vec![])).await.unwrap();
                // Another may have been quicker: there is one job per claimer.
                let leased = loop {
                    if let Some(leased) = ledger.claim(&claim()).await.unwrap() {
                        break leased;
                    }
                };
                let outcome = Outcome::new(vec![]);
                ledger.commit(&leased.lease, &outcome, Observed::default(), &()).await.unwrap();
                times.push(begin.elapsed());
            }
            times
        })
    });
    let mut times = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        times.extend(task.await.unwrap());
    }
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    let (median, p99) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
    println!("{name}, {claimers} claimers: {rate:.0} jobs/s, a job's median {median:.1} ms, p99 {p99:.1} ms");
}

/// Times a look for work and a claim with `jobs` waiting in `lines` projects; medians, milliseconds.
async fn claims(db: &Database, jobs: i64, lines: i64) -> (f64, f64) {
    let ledger = open(db).await;
    let mut tx = db.begin().await.unwrap();
    for text in ["delete from {s}attempt", "delete from {s}event", "delete from {s}audit", "delete from {s}request"] {
        tx.execute(&Sql::new(&schema(), text), vec![]).await.unwrap();
    }
    tx.execute(&Sql::new(&schema(), "delete from {s}job"), vec![]).await.unwrap();
    tx.execute(&Sql::new(&schema(), FILL), values![lines, jobs, Vec::<u8>::new()]).await.unwrap();
    tx.commit().await.unwrap();
    let (mut looks, mut claims) = (Vec::new(), Vec::new());
    for _ in 0..CLAIMS {
        let begin = Instant::now();
        ledger.work_available(&claim(), Duration::ZERO).await.unwrap();
        looks.push(begin.elapsed());
        let begin = Instant::now();
        let leased = ledger.claim(&claim()).await.unwrap().expect("jobs wait");
        claims.push(begin.elapsed());
        ledger.commit(&leased.lease, &Outcome::new(vec![]), Observed::default(), &()).await.unwrap();
    }
    (quantile(&mut looks, 0.5), quantile(&mut claims, 0.5))
}

async fn measure(name: &str, db: &Database) {
    let ledger = open(db).await;
    for claimers in [1, 8] {
        cycles(name, &ledger, claimers).await;
    }
    for lines in [1, 20] {
        let (look, short) = claims(db, 1_000, lines).await;
        let (long_look, long) = claims(db, 100_000, lines).await;
        println!(
            "{name}, {lines} projects: a claim {short:.2} ms with 1,000 waiting, {long:.2} ms with 100,000 ({:.2}×); \
             a look {look:.2} ms, {long_look:.2} ms",
            long / short
        );
        assert!(long <= 2.0 * short, "a long queue slows a claim");
        assert!(long_look <= 2.0 * look + 0.5, "a long queue slows a look for work");
    }
}

#[test]
#[ignore = "half a minute of an idle machine: `cargo test -p gristmill-jobs throughput -- --ignored --nocapture`"]
fn throughput() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        measure("SQLite", &DataDir::open(dir.path()).unwrap().database("test").await.unwrap()).await;
        // As durable as SQLite's file.
        let Some(server) = gristmill_testpg::Server::start_with(&["fsync=on", "full_page_writes=on"]) else { return };
        measure("PostgreSQL", &connect(&server.url("postgres")).await).await;
    });
}
