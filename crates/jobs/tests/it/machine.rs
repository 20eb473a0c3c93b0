//! The ledger against a small model of it, over random histories.

use std::collections::BTreeMap;

use gristmill_jobs::{JobError, Lease, LedgerError, Observed, Outcome};
use gristmill_types::{Digest, JobId, JobState};
use proptest::prelude::*;

use crate::bench::{Bench, LEASE, claim, project, submit};

const MAX_ATTEMPTS: u32 = 3;

#[derive(Debug, Clone)]
enum Step {
    Submit { request: u8, key: Option<u8> },
    Claim,
    Commit(prop::sample::Index),
    Fail(prop::sample::Index, bool),
    Release(prop::sample::Index),
    Heartbeat(prop::sample::Index),
    Cancel(prop::sample::Index),
    Advance(i64),
    Reap,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>();
    prop_oneof![
        4 => (0..12_u8, prop::option::of(0..3_u8)).prop_map(|(request, key)| Step::Submit { request, key }),
        6 => Just(Step::Claim),
        4 => index.prop_map(Step::Commit),
        3 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(lease, transient)| Step::Fail(lease, transient)),
        2 => any::<prop::sample::Index>().prop_map(Step::Release),
        3 => any::<prop::sample::Index>().prop_map(Step::Heartbeat),
        2 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        4 => (0..LEASE).prop_map(Step::Advance),
        3 => Just(Step::Reap),
        1 => Just(Step::Restart),
    ]
}

/// What the ledger should hold of a job.
#[derive(Debug, Clone, PartialEq)]
struct Expected {
    state: JobState,
    fence: i64,
    tries: u32,
    cancel: bool,
    key: Option<u8>,
    lease_until: i64,
    written_at: i64,
    /// This process has claimed it: it remembers when it wrote the lease.
    seen: bool,
    result: Option<i64>,
}

#[derive(Debug, Default)]
struct Model {
    jobs: BTreeMap<JobId, Expected>,
    requests: BTreeMap<u8, (JobId, Option<u8>)>,
    /// Every lease ever given.
    leases: Vec<Lease>,
    now: i64,
    /// When the reaper looked last; none if this process has not yet.
    last_reap: Option<i64>,
    hold_until: i64,
}

impl Model {
    fn holds(&self, lease: &Lease) -> bool {
        self.jobs.get(&lease.job).is_some_and(|job| job.state == JobState::Running && job.fence == lease.fence)
    }

    fn job(&mut self, id: JobId) -> &mut Expected {
        self.jobs.get_mut(&id).expect("a known job")
    }

    /// The job that answers equal work: the latest success, else the latest that may still succeed.
    fn equal(&self, key: u8) -> Option<JobId> {
        let with = |want: &dyn Fn(&Expected) -> bool| {
            self.jobs.iter().rev().find(|(_, job)| job.key == Some(key) && want(job)).map(|(id, _)| *id)
        };
        with(&|job| job.state == JobState::Succeeded).or_else(|| with(&|job| !job.state.is_terminal() && !job.cancel))
    }

    /// An attempt was lost.
    fn lose(job: &mut Expected) {
        job.state = match (job.cancel, job.tries < MAX_ATTEMPTS) {
            (true, _) => JobState::Cancelled,
            (false, true) => JobState::Queued,
            (false, false) => JobState::Failed,
        };
    }

    fn reap(&mut self) {
        if self.last_reap.is_none_or(|last| self.now - last > LEASE) {
            self.hold_until = self.now + LEASE;
        }
        self.last_reap = Some(self.now);
        if self.now < self.hold_until {
            return;
        }
        let now = self.now;
        let expired = |job: &&mut Expected| job.state == JobState::Running && job.lease_until < now;
        self.jobs.values_mut().filter(expired).for_each(Self::lose);
    }
}

fn is_lost<T>(answer: &Result<T, LedgerError>) -> bool {
    matches!(answer, Err(LedgerError::LeaseLost { .. }))
}

fn is_cancelled<T>(answer: &Result<T, LedgerError>) -> bool {
    matches!(answer, Err(LedgerError::Cancelled { .. }))
}

fn is_too_late<T>(answer: &Result<T, LedgerError>) -> bool {
    matches!(answer, Err(LedgerError::TooLate { .. }))
}

async fn play(mut bench: Bench, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut model = Model { last_reap: Some(0), ..Model::default() };
    for step in steps {
        perform(&mut bench, &mut model, step).await?;
        for (id, expected) in &model.jobs {
            let job = bench.ledger.get(&project(), *id).await.unwrap();
            let found = (job.state, job.fence, job.tries, job.cancel_requested);
            prop_assert_eq!(found, (expected.state, expected.fence, expected.tries, expected.cancel));
            prop_assert_eq!(job.result, expected.result.map(|fence| fence.to_be_bytes().to_vec()));
        }
    }
    for id in model.jobs.keys() {
        check_history(&bench, *id).await?;
    }
    Ok(())
}

/// Events count up, fences never fall, and a final state comes once, at the end.
async fn check_history(bench: &Bench, id: JobId) -> Result<(), TestCaseError> {
    let events = bench.ledger.events(&project(), id, 0, 1_000).await.unwrap();
    for (at, event) in events.iter().enumerate() {
        prop_assert_eq!(event.sequence, at as i64 + 1);
        prop_assert!(at == 0 || events[at - 1].fence <= event.fence);
        prop_assert_eq!(event.state.is_terminal(), at + 1 == events.len() && event.state.is_terminal());
    }
    Ok(())
}

async fn perform(bench: &mut Bench, model: &mut Model, step: Step) -> Result<(), TestCaseError> {
    match step {
        Step::Submit { request, key } => submit_step(bench, model, request, key).await?,
        Step::Claim => claim_step(bench, model).await?,
        Step::Commit(_) | Step::Fail(..) | Step::Release(_) | Step::Heartbeat(_) => {
            if !model.leases.is_empty() {
                lease_step(bench, model, step).await?;
            }
        }
        Step::Cancel(index) => {
            if !model.jobs.is_empty() {
                let id = *model.jobs.keys().nth(index.index(model.jobs.len())).unwrap();
                cancel_step(bench, model, id).await?;
            }
        }
        Step::Advance(micros) => {
            bench.clock.advance(micros);
            model.now += micros;
        }
        Step::Reap => {
            bench.ledger.reap().await.unwrap();
            model.reap();
        }
        Step::Restart => {
            bench.ledger = bench.another().await;
            if bench.db.is_shared() {
                // Their holders may live: the leases run out, and the new reaper waits before it looks.
                (model.last_reap, model.hold_until) = (None, model.now);
                model.jobs.values_mut().for_each(|job| job.seen = false);
            } else {
                model.jobs.values_mut().filter(|job| job.state == JobState::Running).for_each(Model::lose);
                (model.last_reap, model.hold_until) = (Some(model.now), model.now);
            }
        }
    }
    Ok(())
}

async fn submit_step(bench: &Bench, model: &mut Model, request: u8, key: Option<u8>) -> Result<(), TestCaseError> {
    let mut asked = submit(&format!("r{request}")).max_attempts(MAX_ATTEMPTS);
    if let Some(key) = key {
        asked = asked.cache_key(Digest::of(&[key]));
    }
    let answer = bench.ledger.submit(asked).await.unwrap();
    let known = model.requests.get(&request).map(|(id, _)| *id).or_else(|| key.and_then(|key| model.equal(key)));
    match known {
        Some(id) => prop_assert_eq!((answer.job.id, answer.created), (id, false)),
        None => {
            prop_assert!(answer.created && !model.jobs.contains_key(&answer.job.id));
            let job = Expected {
                state: JobState::Queued,
                fence: 0,
                tries: 0,
                cancel: false,
                key,
                lease_until: 0,
                written_at: 0,
                seen: false,
                result: None,
            };
            model.jobs.insert(answer.job.id, job);
        }
    }
    model.requests.entry(request).or_insert((answer.job.id, key));
    Ok(())
}

async fn claim_step(bench: &Bench, model: &mut Model) -> Result<(), TestCaseError> {
    let leased = bench.ledger.claim(&claim("w")).await.unwrap();
    let waiting = model.jobs.values().any(|job| job.state == JobState::Queued);
    prop_assert_eq!(leased.is_some(), waiting);
    if let Some(leased) = leased {
        let now = model.now;
        let job = model.job(leased.lease.job);
        prop_assert_eq!(job.state, JobState::Queued);
        prop_assert_eq!(leased.lease.fence, job.fence + 1, "fences count up");
        job.state = JobState::Running;
        job.fence += 1;
        job.tries += 1;
        (job.lease_until, job.written_at, job.seen) = (now + LEASE, now, true);
        model.leases.push(leased.lease);
    }
    Ok(())
}

async fn lease_step(bench: &Bench, model: &mut Model, step: Step) -> Result<(), TestCaseError> {
    let lease_of = |index: &prop::sample::Index| model.leases[index.index(model.leases.len())].clone();
    let now = model.now;
    match step {
        Step::Commit(index) => {
            let lease = lease_of(&index);
            let outcome = Outcome::new(lease.fence.to_be_bytes().to_vec());
            let answer = bench.ledger.commit(&lease, &outcome, Observed::default(), &()).await;
            let holds = model.holds(&lease);
            let job = model.job(lease.job);
            if holds && job.cancel {
                prop_assert!(is_cancelled(&answer));
                job.state = JobState::Cancelled;
            } else if holds {
                prop_assert_eq!(answer.unwrap().state, JobState::Succeeded);
                (job.state, job.result) = (JobState::Succeeded, Some(lease.fence));
            } else if job.state == JobState::Succeeded && job.fence == lease.fence {
                prop_assert_eq!(answer.unwrap().result, job.result.map(|fence| fence.to_be_bytes().to_vec()));
            } else if job.state == JobState::Cancelled && job.fence == lease.fence {
                prop_assert!(is_cancelled(&answer));
            } else {
                prop_assert!(is_lost(&answer));
            }
        }
        Step::Fail(index, transient) => {
            let lease = lease_of(&index);
            let error = if transient { JobError::transient("T", "t") } else { JobError::permanent("P", "p") };
            let answer = bench.ledger.fail(&lease, &error, Observed::default()).await;
            prop_assert_eq!(is_lost(&answer), !model.holds(&lease));
            if model.holds(&lease) {
                let job = model.job(lease.job);
                Model::lose(job);
                if !job.cancel && !transient {
                    job.state = JobState::Failed;
                }
            }
        }
        Step::Release(index) => {
            let lease = lease_of(&index);
            let answer = bench.ledger.release(&lease).await;
            prop_assert_eq!(is_lost(&answer), !model.holds(&lease));
            if model.holds(&lease) {
                let job = model.job(lease.job);
                if job.cancel {
                    job.state = JobState::Cancelled;
                } else {
                    job.state = JobState::Queued;
                    job.tries -= 1;
                }
            }
        }
        Step::Heartbeat(index) => {
            let lease = lease_of(&index);
            let answer = bench.ledger.heartbeat(&lease, None).await;
            prop_assert_eq!(is_lost(&answer), !model.holds(&lease));
            if model.holds(&lease) {
                let job = model.job(lease.job);
                prop_assert_eq!(answer.unwrap().cancel, job.cancel);
                if !job.seen || now - job.written_at >= LEASE / 3 {
                    (job.lease_until, job.written_at) = (job.lease_until.max(now + LEASE), now);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

async fn cancel_step(bench: &Bench, model: &mut Model, id: JobId) -> Result<(), TestCaseError> {
    let answer = bench.ledger.cancel(&project(), id, None).await;
    let job = model.job(id);
    match job.state {
        JobState::Succeeded | JobState::Failed => prop_assert!(is_too_late(&answer)),
        JobState::Cancelled => prop_assert!(answer.is_ok()),
        JobState::Queued => (job.state, job.cancel) = (JobState::Cancelled, true),
        JobState::Running => job.cancel = true,
    }
    Ok(())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_does_what_the_model_does_on_sqlite(steps in prop::collection::vec(step(), 1..60)) {
        runtime().block_on(async { play(Bench::sqlite().await, steps).await })?;
    }

}

proptest! {
    // Every step asks the server for every job: fewer histories.
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_does_what_the_model_does_on_postgres(steps in prop::collection::vec(step(), 1..60)) {
        runtime().block_on(async {
            match Bench::postgres().await {
                Some(bench) => play(bench, steps).await,
                None => Ok(()),
            }
        })?;
    }
}
