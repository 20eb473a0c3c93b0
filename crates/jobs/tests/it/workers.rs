//! Workers over both kinds of leases.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gristmill_jobs::{
    Attempt, Done, JobError, LeaseServer, Leases, LocalLeases, Outcome, RemoteLeases, Submit, WatchItem, Work, Workers,
};
use gristmill_proto::job::lease_service_client::LeaseServiceClient;
use gristmill_runtime::database::{Sql, Tx};
use gristmill_runtime::slots::Slots;
use gristmill_runtime::values;
use gristmill_types::{Digest, ErrorCode, JobId, JobState};
use tokio::sync::Notify;

use crate::bench::{Bench, project, request};

/// Does what the payload says.
#[derive(Default)]
struct Obey {
    started: Notify,
    finish: Notify,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Work for Obey {
    const KIND: &'static str = "obey";

    async fn run(&self, attempt: Attempt) -> Result<Outcome, JobError> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let ended = self.obey(&attempt).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        ended
    }

    async fn rows(&self, tx: &mut Tx, done: Done<'_>) -> Result<(), JobError> {
        let sql = Sql::from("insert into obeyed (job) values ($1)");
        tx.execute(&sql, values![done.job.id]).await?;
        Ok(())
    }
}

impl Obey {
    async fn obey(&self, attempt: &Attempt) -> Result<Outcome, JobError> {
        match attempt.payload() {
            b"panic" => panic!("told to"),
            b"panic on a thread" => attempt.blocking(|_| -> Result<Outcome, JobError> { panic!("told to") }).await,
            b"fail once" if attempt.fence() == 1 => Err(JobError::transient("ONCE", "only once")),
            b"wait to be stopped" => {
                self.started.notify_one();
                Err(attempt.cancelled().await)
            }
            b"spin until stopped" => {
                self.started.notify_one();
                attempt
                    .blocking(|cancel| {
                        loop {
                            cancel.check()?;
                            std::thread::yield_now();
                        }
                    })
                    .await
            }
            b"wait to be told" => {
                attempt.progress("waiting", 0.5, "half");
                self.started.notify_one();
                self.finish.notified().await;
                Ok(Outcome::new(b"told".to_vec()))
            }
            payload => {
                attempt.pin(&[Digest::of(payload)]).await?;
                let payload = payload.to_vec();
                attempt.blocking(move |_| Ok(Outcome::new(payload))).await
            }
        }
    }
}

struct House {
    running: gristmill_jobs::Running,
    work: Arc<Obey>,
    bench: Bench,
}

async fn house(bench: Bench, remote: bool, at_most: usize) -> House {
    let mut tx = bench.db.begin().await.unwrap();
    tx.execute_script(&Sql::from("create table obeyed (job text)")).await.unwrap();
    tx.commit().await.unwrap();
    let work = Arc::new(Obey::default());
    let leases: Arc<dyn Leases> = if remote {
        let server = LeaseServer::new(bench.ledger.clone()).accept(work.clone()).into_service();
        Arc::new(RemoteLeases::new(LeaseServiceClient::new(server)))
    } else {
        Arc::new(LocalLeases::new(bench.ledger.clone()))
    };
    let slots = Slots::new(NonZeroUsize::new(4).unwrap());
    let running = Workers::new("w", slots).serve(leases, work.clone(), at_most).start();
    House { running, work, bench }
}

impl House {
    async fn submit(&self, payload: &str) -> JobId {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let request = request(&format!("r{}", COUNT.fetch_add(1, Ordering::SeqCst)));
        let submit = Submit::new(project(), Obey::KIND, request, payload.as_bytes().to_vec());
        self.bench.ledger.submit(submit).await.unwrap().job.id
    }

    async fn end_of(&self, id: JobId) -> gristmill_jobs::Job {
        self.bench.ledger.finished(&project(), id).await.unwrap()
    }

    async fn obeyed(&self, id: JobId) -> usize {
        let sql = Sql::from("select job from obeyed where job = $1");
        self.bench.db.fetch(&sql, values![id]).await.unwrap().len()
    }
}

macro_rules! everywhere {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            mod local {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() { super::super::$name(crate::bench::Bench::sqlite().await, false).await; })*
            }
            mod remote {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() { super::super::$name(crate::bench::Bench::sqlite().await, true).await; })*
            }
        }
        mod postgres {
            mod local {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let Some(bench) = crate::bench::Bench::postgres().await else { return };
                    super::super::$name(bench, false).await;
                })*
            }
            mod remote {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let Some(bench) = crate::bench::Bench::postgres().await else { return };
                    super::super::$name(bench, true).await;
                })*
            }
        }
    };
}

everywhere! {
    work_is_done_and_committed_with_its_rows,
    failures_and_panics_end_attempts,
    a_cancellation_reaches_the_work,
    progress_reaches_the_watcher,
    a_drain_gives_work_back,
    a_drain_waits_for_what_finishes,
}

async fn work_is_done_and_committed_with_its_rows(bench: Bench, remote: bool) {
    let house = house(bench, remote, 2).await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push((house.submit(&format!("grain {n}")).await, n));
    }
    for (id, n) in ids {
        let job = house.end_of(id).await;
        assert_eq!((job.state, job.result), (JobState::Succeeded, Some(format!("grain {n}").into_bytes())));
        assert_eq!(house.obeyed(id).await, 1);
        assert!(job.observed.peak_bytes > 0);
    }
    let most = house.work.most_at_once.load(Ordering::SeqCst);
    assert!((1..=2).contains(&most), "{most} at once");
    assert!(house.bench.ledger.roots().await.unwrap().is_empty(), "pins end with their attempt");
}

async fn failures_and_panics_end_attempts(bench: Bench, remote: bool) {
    let house = house(bench, remote, 4).await;
    for payload in ["panic", "panic on a thread"] {
        let job = house.end_of(house.submit(payload).await).await;
        assert_eq!(job.state, JobState::Failed);
        let error = job.error.unwrap();
        assert_eq!((error.reason.as_str(), error.transient), ("INTERNAL", false));
        assert!(!error.message.contains("told to"), "a panic's text is for the log");
    }
    let job = house.end_of(house.submit("fail once").await).await;
    assert_eq!((job.state, job.fence), (JobState::Succeeded, 2));
}

async fn a_cancellation_reaches_the_work(bench: Bench, remote: bool) {
    let house = house(bench, remote, 4).await;
    for payload in ["wait to be stopped", "spin until stopped"] {
        let id = house.submit(payload).await;
        house.work.started.notified().await;
        house.bench.ledger.cancel(&project(), id, None).await.unwrap();
        let job = house.end_of(id).await;
        assert_eq!(job.state, JobState::Cancelled);
        assert_eq!(job.error.unwrap().code, ErrorCode::Cancelled);
    }
}

async fn progress_reaches_the_watcher(bench: Bench, remote: bool) {
    use futures::StreamExt;
    let house = house(bench, remote, 1).await;
    let id = house.submit("wait to be told").await;
    let mut watch = house.bench.ledger.watch(&project(), id, 0).await.unwrap();
    loop {
        match watch.next().await.unwrap().unwrap() {
            WatchItem::Progress { progress, .. } => {
                assert_eq!((progress.phase.as_str(), progress.fraction), ("waiting", 0.5));
                break;
            }
            WatchItem::Event(event) => assert!(!event.state.is_terminal()),
        }
    }
    house.work.finish.notify_one();
    assert_eq!(house.end_of(id).await.state, JobState::Succeeded);
}

async fn a_drain_gives_work_back(bench: Bench, remote: bool) {
    let house = house(bench, remote, 1).await;
    let id = house.submit("wait to be stopped").await;
    house.work.started.notified().await;
    let waiting = house.submit("never claimed").await;
    house.running.drain(Duration::ZERO).await;
    for id in [id, waiting] {
        let job = house.bench.ledger.get(&project(), id).await.unwrap();
        assert_eq!((job.state, job.tries), (JobState::Queued, 0), "the attempt does not count");
    }
}

async fn a_drain_waits_for_what_finishes(bench: Bench, remote: bool) {
    let house = house(bench, remote, 1).await;
    let id = house.submit("wait to be told").await;
    house.work.started.notified().await;
    house.work.finish.notify_one();
    house.running.drain(Duration::from_secs(30)).await;
    assert_eq!(house.bench.ledger.get(&project(), id).await.unwrap().state, JobState::Succeeded);
}

mod served {
    use super::a_lease_server_takes_only_what_it_knows;
    crate::bench::both! { a_lease_server_takes_only_what_it_knows }
}

async fn a_lease_server_takes_only_what_it_knows(bench: Bench) {
    let server = LeaseServer::new(bench.ledger.clone()).accept(Arc::new(Obey::default())).into_service();
    let leases = RemoteLeases::new(LeaseServiceClient::new(server));
    let mut claim = crate::bench::claim("w");
    let error = leases.claim(&claim).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
    claim.kinds = vec![Obey::KIND.into()];
    bench.ledger.submit(Submit::new(project(), Obey::KIND, None, vec![1])).await.unwrap();
    let leased = leases.claim(&claim).await.unwrap().expect("a job waits");
    let stale = gristmill_jobs::Lease { fence: 9, ..leased.lease.clone() };
    let error = leases.heartbeat(&stale, None).await.unwrap_err();
    assert!(matches!(error, gristmill_jobs::LedgerError::LeaseLost { fence: 9, .. }), "{error:?}");
}
