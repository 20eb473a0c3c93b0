//! What only processes that share a ledger can do to each other: several handles on one database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use gristmill_jobs::{
    Done, EventKind, JobError, Ledger, LedgerError, Observed, Options, Outcome, SqlLedger, StageRows, Submit, WatchItem,
};
use gristmill_runtime::database::{DatabaseError, Sql, Tx};
use gristmill_runtime::values;
use gristmill_types::{Clock, Digest, JobId, JobState, ManualClock, SystemClock};

use crate::bench::{Bench, LEASE, SECOND, claim, connect, options, project, request, schema, stage, submit};

/// Longer than any wait for a wake-up may take, shorter than the looks that would hide its loss.
const SOON: Duration = Duration::from_secs(60);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("woken in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_is_claimed_twice() {
    const JOBS: usize = 60;
    let Some(mut bench) = Bench::postgres().await else { return };
    for n in 0..JOBS {
        bench.submit(&format!("r{n}")).await;
    }
    let mut handles: Vec<Arc<dyn Ledger>> = vec![bench.ledger.clone()];
    for _ in 0..2 {
        handles.push(bench.another().await);
    }
    let claimers = (0..9).map(|n| {
        let ledger = Arc::clone(&handles[n % handles.len()]);
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Some(leased) = ledger.claim(&claim("w")).await.unwrap() {
                assert_eq!(leased.lease.fence, 1);
                let outcome = Outcome::new(vec![]);
                ledger.commit(&leased.lease, &outcome, Observed::default(), &()).await.unwrap();
                taken.push(leased.lease.job);
            }
            taken
        })
    });
    let mut taken = Vec::new();
    for claimer in claimers.collect::<Vec<_>>() {
        taken.extend(claimer.await.unwrap());
    }
    // Claimers that find everything taken by others for a moment go home early; the rest is left for one.
    while let Some(leased) = bench.ledger.claim(&claim("w")).await.unwrap() {
        taken.push(leased.lease.job);
    }
    taken.sort();
    let all = taken.len();
    taken.dedup();
    assert_eq!((taken.len(), all), (JOBS, JOBS), "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_requests_and_equal_work_lead_to_one_job() {
    let Some(mut bench) = Bench::postgres().await else { return };
    let mut handles: Vec<Arc<dyn Ledger>> = vec![bench.ledger.clone()];
    for _ in 0..2 {
        handles.push(bench.another().await);
    }
    for round in 0..8 {
        let key = Digest::of(format!("key {round}").as_bytes());
        let submits = (0..9).map(|n| {
            let ledger = Arc::clone(&handles[n % handles.len()]);
            // Three say the same request, the others ask for the same work by another name.
            let name = if n < 3 { format!("same-{round}") } else { format!("r{n}-{round}") };
            let asked = Submit::new(project(), "grind", request(&name), vec![round]).cache_key(key);
            tokio::spawn(async move { ledger.submit(asked).await.unwrap() })
        });
        let mut created = 0;
        let mut ids = Vec::new();
        for answer in submits.collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            created += u32::from(answer.created);
            ids.push(answer.job.id);
        }
        ids.dedup();
        assert_eq!((created, ids.len()), (1, 1), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fences_count_up_whoever_claims() {
    let Some(mut bench) = Bench::postgres().await else { return };
    let other: Arc<dyn Ledger> = bench.another().await;
    let id = bench.ledger.submit(submit("r1").max_attempts(100)).await.unwrap().job.id;
    let handles = [bench.ledger.clone(), other];
    let tasks = (0..6).map(|n| {
        let ledger = Arc::clone(&handles[n % 2]);
        tokio::spawn(async move {
            let mut fences = Vec::new();
            while fences.len() < 5 {
                let Some(leased) = ledger.claim(&claim("w")).await.unwrap() else {
                    tokio::task::yield_now().await;
                    continue;
                };
                fences.push(leased.lease.fence);
                let error = JobError::transient("X", "x");
                ledger.fail(&leased.lease, &error, Observed::default()).await.unwrap();
                let again = ledger.fail(&leased.lease, &error, Observed::default()).await;
                assert!(matches!(again, Err(LedgerError::LeaseLost { .. })), "ended once");
            }
            fences
        })
    });
    let mut all = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (1..=30).collect::<Vec<_>>(), "each number once");
    let events = bench.ledger.events(&project(), id, 0, 1_000).await.unwrap();
    assert!(events.iter().zip(1..).all(|(event, number)| event.sequence == number));
    assert!(events.is_sorted_by_key(|event| event.fence));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_wakes_a_worker_elsewhere() {
    let Some(mut bench) = Bench::postgres().await else { return };
    let other = bench.another().await;
    for round in 0..3 {
        let waiter = Arc::clone(&other);
        let woken = tokio::spawn(async move {
            let asked = claim("w");
            loop {
                waiter.work_available(&asked, Duration::from_secs(600)).await.unwrap();
                if let Some(leased) = waiter.claim(&asked).await.unwrap() {
                    return leased;
                }
            }
        });
        let id = bench.submit(&format!("r{round}")).await.id;
        assert_eq!(soon(woken).await.unwrap().lease.job, id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_follows_what_happens_elsewhere() {
    let Some(mut bench) = Bench::postgres().await else { return };
    let other = bench.another().await;
    let id = bench.submit("r1").await.id;
    let mut watch = other.watch(&project(), id, 0).await.unwrap();
    let mut next = async || match soon(watch.next()).await {
        Some(Ok(WatchItem::Event(event))) => event.kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(next().await, EventKind::Submitted);
    let lease = bench.claim().await.lease;
    assert_eq!(next().await, EventKind::Claimed);
    bench.ledger.commit(&lease, &Outcome::new(vec![]), Observed::default(), &()).await.unwrap();
    assert_eq!(next().await, EventKind::Succeeded);
    assert_eq!(soon(other.finished(&project(), id)).await.unwrap().state, JobState::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_reaches_an_attempt_elsewhere() {
    let Some(mut bench) = Bench::postgres().await else { return };
    let other = bench.another().await;
    let id = bench.submit("r1").await.id;
    let lease = bench.claim().await.lease;
    assert!(!bench.ledger.heartbeat(&lease, None).await.unwrap().cancel);
    other.cancel(&project(), id, Some("ann")).await.unwrap();
    // The clock stands still, so a heartbeat alone would not ask the database.
    soon(bench.ledger.interrupted(&lease)).await;
    assert!(bench.ledger.heartbeat(&lease, None).await.unwrap().cancel);
    let answer = bench.ledger.commit(&lease, &Outcome::new(vec![]), Observed::default(), &()).await;
    assert!(matches!(answer, Err(LedgerError::Cancelled { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_that_nobody_heard_are_made_up_for() {
    let Some(mut bench) = Bench::postgres().await else { return };
    let other = bench.another().await;
    for round in 0..3 {
        let id = bench.submit(&format!("r{round}")).await.id;
        let lease = bench.claim().await.lease;
        let mut watch = bench.ledger.watch(&project(), id, 2).await.unwrap();
        // Every line is cut at the moment at which there is something to tell.
        bench.server().psql(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where query like 'LISTEN%' and datname = current_database()",
        );
        other.cancel(&project(), id, None).await.unwrap();
        soon(bench.ledger.interrupted(&lease)).await;
        let heard = soon(watch.next()).await;
        assert!(
            matches!(&heard, Some(Ok(WatchItem::Event(event))) if event.kind == EventKind::CancelRequested),
            "{heard:?}"
        );
        bench.ledger.fail(&lease, &JobError::interrupted(), Observed::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_taken_elsewhere_interrupts_its_attempt() {
    let Some(mut bench) = Bench::postgres().await else { return };
    let id = bench.submit("r1").await.id;
    let lease = bench.claim().await.lease;
    let other = bench.another().await;
    assert!(other.reap().await.unwrap().held_off, "a reaper that just began takes nothing");
    let job = other.get(&project(), id).await.unwrap();
    assert_eq!(job.state, JobState::Running, "a second process takes no living lease");
    bench.clock.advance(LEASE);
    other.reap().await.unwrap();
    bench.clock.advance(1);
    assert_eq!(other.reap().await.unwrap().requeued, 1);
    soon(bench.ledger.interrupted(&lease)).await;
    let successor = other.claim(&claim("w2")).await.unwrap().unwrap().lease;
    assert_eq!(successor.fence, 2);
    let answer = bench.ledger.commit(&lease, &Outcome::new(vec![]), Observed::default(), &()).await;
    assert!(matches!(answer, Err(LedgerError::LeaseLost { .. })));
    // Late news of the first attempt do not touch the second.
    assert!(!other.heartbeat(&successor, None).await.unwrap().cancel);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reapers_of_several_processes_take_each_lease_once() {
    const JOBS: usize = 20;
    let Some(mut bench) = Bench::postgres().await else { return };
    let other = bench.another().await;
    other.reap().await.unwrap();
    for n in 0..JOBS {
        bench.submit(&format!("r{n}")).await;
        bench.claim().await;
    }
    bench.clock.advance(LEASE);
    bench.ledger.reap().await.unwrap();
    other.reap().await.unwrap();
    bench.clock.advance(1);
    let (one, two) = tokio::join!(bench.ledger.reap(), other.reap());
    let taken = one.unwrap().requeued + two.unwrap().requeued;
    // One that finds a job in the other's hands leaves it to the other, which takes it.
    assert_eq!(taken, u32::try_from(JOBS).unwrap());
    let depth = bench.ledger.depth(None).await.unwrap();
    assert_eq!((depth.queued, depth.running), (JOBS as u64, 0));
}

/// Rows of a stage whose connection is cut while they are written, once.
struct Cut {
    left: std::sync::atomic::AtomicU32,
}

#[async_trait::async_trait]
impl StageRows for Cut {
    async fn write(&self, tx: &mut Tx, done: Done<'_>) -> Result<(), JobError> {
        tx.execute(&Sql::from("insert into flour (job) values ($1)"), values![done.job.id]).await?;
        if self.left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) > 0 {
            tx.fetch(&Sql::from("select pg_terminate_backend(pg_backend_pid()) as cut"), vec![]).await?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_in_a_commit_leaves_nothing_half_done() {
    let Some(bench) = Bench::postgres().await else { return };
    bench.server().psql("create table flour (job text)");
    let id = bench.submit("r1").await.id;
    let lease = bench.claim().await.lease;
    let cut = Cut { left: 1.into() };
    let answer = bench.ledger.commit(&lease, &Outcome::new(b"a".to_vec()), Observed::default(), &cut).await;
    let error = answer.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let job = bench.ledger.get(&project(), id).await.unwrap();
    assert_eq!((job.state, job.sequence), (JobState::Running, 2));
    assert_eq!(bench.server().psql("select count(*) from flour"), "0");
    cut.left.store(0, std::sync::atomic::Ordering::SeqCst);
    let job = bench.ledger.commit(&lease, &Outcome::new(b"a".to_vec()), Observed::default(), &cut).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded);
    assert_eq!(bench.server().psql("select count(*) from flour"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parents_and_children_are_locked_in_one_order() {
    let Some(mut bench) = Bench::postgres().await else { return };
    let other = bench.another().await;
    for round in 0..6 {
        let parent = bench.ledger.submit(submit(&format!("p{round}"))).await.unwrap().job.id;
        let study = bench.claim().await.lease;
        assert_eq!(study.job, parent);
        let child =
            |n: usize| Submit::new(project(), "grind", request(&format!("c{round}-{n}")), vec![n as u8]).parent(parent);
        for n in 0..6 {
            bench.ledger.submit(child(n)).await.unwrap();
        }
        // Children are claimed, ended and submitted while the parent is cancelled.
        let work = async |ledger: &dyn Ledger| {
            while let Some(leased) = ledger.claim(&claim("w")).await.unwrap() {
                match ledger.commit(&leased.lease, &Outcome::new(vec![]), Observed::default(), &()).await {
                    Ok(_) | Err(LedgerError::Cancelled { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        };
        let late = async {
            match other.submit(child(99)).await {
                Ok(_) | Err(LedgerError::ParentEnded { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        };
        let own = project();
        let (cancelled, (), (), ()) =
            tokio::join!(other.cancel(&own, parent, None), work(&*bench.ledger), work(&*other), late);
        cancelled.unwrap();
        bench.ledger.fail(&study, &JobError::interrupted(), Observed::default()).await.unwrap();
        work(&*other).await;
        let states = bench.server().psql(&format!(
            "select count(*) from mill.job where parent = '{parent}' and state in ('queued', 'running')"
        ));
        assert_eq!(states, "0", "no child outlives its parent");
    }
}

/// A clock that is wrong by some microseconds.
#[derive(Debug)]
struct Wrong(i64);

impl Clock for Wrong {
    fn now(&self) -> i64 {
        SystemClock.now() + self.0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_by_the_databases_clock() {
    let Some(bench) = Bench::postgres().await else { return };
    let url = bench.server().url();
    let ledger = async |skew: i64, seed: u64| {
        let options = Options { seed: Some(seed), reaper: false, ..Options::new(Arc::new(Wrong(skew))) };
        SqlLedger::open(connect(&url).await, &stage(), options).await.unwrap()
    };
    let hour = 3_600 * SECOND;
    let left = "select lease_until - (extract(epoch from clock_timestamp()) * 1000000)::bigint from mill.job \
                where state = 'running'";
    for (skew, seed) in [(0, 100), (hour, 101), (-hour, 102)] {
        let (own, other) = (ledger(skew, seed).await, ledger(-skew, seed + 10).await);
        let submitted = other.submit(submit(&format!("r{seed}"))).await.unwrap().job;
        assert!((submitted.created_at - SystemClock.now()).abs() < 600 * SECOND, "an hour off: {skew}");
        let lease = own.claim(&claim("w")).await.unwrap().expect("not in the future").lease;
        let left: i64 = bench.server().psql(left).parse().unwrap();
        assert!((1..=LEASE + SECOND).contains(&left), "{left}");
        own.commit(&lease, &Outcome::new(vec![]), Observed::default(), &()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_of_a_newer_version_is_refused_with_both_versions() {
    let Some(bench) = Bench::postgres().await else { return };
    let sql = Sql::new(&schema(), "select max(version) as version from {s}migration where part = 'jobs'");
    let known: i64 = bench.db.fetch_optional(&sql, vec![]).await.unwrap().unwrap().get("version").unwrap();
    bench.server().psql(
        "insert into mill.migration (part, version, name, digest) values ('jobs', 9000, 'later', repeat('0', 64))",
    );
    let clock = Arc::new(ManualClock::at(0));
    let error = SqlLedger::open(bench.db.clone(), &stage(), options(clock)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Database(DatabaseError::NewerSchema { found: 9_000, .. })), "{error:?}");
    let told = error.to_string();
    assert!(told.contains("9000") && told.contains(&known.to_string()), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_is_survived() {
    let Some(mut server) = gristmill_testpg::Server::start() else { return };
    let clock = Arc::new(SystemClock);
    let options = Options { reaper: false, ..Options::new(clock) };
    let ledger = SqlLedger::open(connect(&server.url("postgres")).await, &stage(), options).await.unwrap();
    let id = ledger.submit(submit("r1")).await.unwrap().job.id;
    let lease = ledger.claim(&claim("w")).await.unwrap().unwrap().lease;
    let before: BTreeMap<JobId, JobState> = [(id, JobState::Running)].into();
    server.stop();
    let error = ledger.submit(submit("r2")).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(!error.to_string().contains("gm-pg"), "{error}");
    server.resume();
    for (id, state) in before {
        assert_eq!(ledger.get(&project(), id).await.unwrap().state, state);
    }
    ledger.commit(&lease, &Outcome::new(vec![]), Observed::default(), &()).await.unwrap();
    assert!(ledger.submit(submit("r2")).await.unwrap().created, "the refused one left nothing");
}
