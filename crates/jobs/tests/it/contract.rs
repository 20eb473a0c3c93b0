//! What every ledger must do, whatever is under it.

use std::time::Duration;

use futures::StreamExt;
use gristmill_jobs::{
    Done, EventKind, JobError, Lease, LedgerError, ListJobs, Observed, Outcome, Progress, StageRows, Submit, WatchItem,
};
use gristmill_runtime::database::{Sql, Tx};
use gristmill_runtime::values;
use gristmill_types::{ArtifactKind, ArtifactRef, Clock, Digest, JobState, Project};

use crate::bench::{Bench, LEASE, SECOND, both, claim, project, request, schema, submit};
use crate::kept::{a_checkpoint_outlives_its_attempt_and_not_its_job, pins_live_as_long_as_their_attempt};

both! {
    a_request_is_the_same_request_when_repeated,
    equal_work_is_answered_or_joined,
    children_join_only_within_their_parent,
    claims_give_one_job_each_in_a_fair_order,
    newer_specs_are_left_for_newer_workers,
    a_commit_is_one_transaction,
    a_commit_may_be_repeated,
    refused_rows_commit_nothing,
    a_zombie_is_refused_everything,
    failures_are_retried_until_the_attempts_are_used,
    released_attempts_do_not_count,
    expired_leases_are_taken_and_attempts_bounded,
    an_unreaped_lease_can_be_extended,
    the_reaper_holds_off_after_an_absence,
    a_restart_takes_dead_leases_at_once,
    cancelling_waits_for_nobody_it_need_not,
    a_cancellation_before_the_commit_wins,
    a_cancellation_after_the_end_is_too_late,
    children_end_with_their_parent,
    pins_live_as_long_as_their_attempt,
    a_checkpoint_outlives_its_attempt_and_not_its_job,
    observations_belong_to_what_was_committed,
    watches_resume_and_end,
    progress_is_heard_and_not_kept,
    lists_come_in_pages,
    projects_do_not_see_each_other,
    every_change_has_its_event_and_audit_row,
    a_full_queue_refuses,
    watches_are_bounded_and_given_back,
    backoff_grows_and_is_capped,
}

pub fn artifact(text: &str) -> ArtifactRef {
    ArtifactRef { kind: ArtifactKind::Model, digest: Digest::of(text.as_bytes()) }
}

fn outcome(text: &str) -> Outcome {
    Outcome::new(text.as_bytes().to_vec()).output(artifact(text))
}

pub async fn commit(bench: &Bench, lease: &Lease, text: &str) -> Result<gristmill_jobs::Job, LedgerError> {
    bench.ledger.commit(lease, &outcome(text), Observed::default(), &()).await
}

pub fn lost<T: std::fmt::Debug>(answer: Result<T, LedgerError>) -> bool {
    matches!(answer, Err(LedgerError::LeaseLost { .. }))
}

async fn a_request_is_the_same_request_when_repeated(bench: Bench) {
    let first = bench.ledger.submit(submit("r1")).await.unwrap();
    assert!(first.created && !first.cached);
    let again = bench.ledger.submit(submit("r1")).await.unwrap();
    assert_eq!((again.job.id, again.created), (first.job.id, false));
    let other = Submit::new(project(), "grind", request("r1"), b"other".to_vec());
    assert!(matches!(bench.ledger.submit(other).await, Err(LedgerError::RequestReused { .. })));
    // The same id after the job has ended is still the same request.
    let leased = bench.claim().await;
    commit(&bench, &leased.lease, "x").await.unwrap();
    let late = bench.ledger.submit(submit("r1")).await.unwrap();
    assert_eq!((late.job.id, late.job.state), (first.job.id, JobState::Succeeded));
    let nameless = || Submit::new(project(), "grind", None, b"same".to_vec());
    let (a, b) = (bench.ledger.submit(nameless()).await.unwrap(), bench.ledger.submit(nameless()).await.unwrap());
    assert_ne!(a.job.id, b.job.id);
}

async fn equal_work_is_answered_or_joined(bench: Bench) {
    let key = Digest::of(b"key");
    let first = bench.ledger.submit(submit("r1").cache_key(key)).await.unwrap().job;
    let joined = bench.ledger.submit(submit("r2").cache_key(key)).await.unwrap();
    assert_eq!((joined.job.id, joined.cached, joined.created), (first.id, false, false));
    let leased = bench.claim().await;
    assert!(bench.ledger.claim(&claim("w2")).await.unwrap().is_none(), "joined, not doubled");
    commit(&bench, &leased.lease, "x").await.unwrap();
    let cached = bench.ledger.submit(submit("r3").cache_key(key)).await.unwrap();
    assert_eq!((cached.job.id, cached.cached), (first.id, true));
    assert_eq!(cached.job.outputs, [artifact("x")]);
    // A repeated request remembers that it was cached.
    assert!(bench.ledger.submit(submit("r3").cache_key(key)).await.unwrap().cached);
    let fresh = bench.ledger.submit(submit("r4").cache_key(key).fresh(true)).await.unwrap();
    assert!(fresh.created);
    let joined = bench.ledger.submit(submit("r4b").cache_key(key).unfinished_only()).await.unwrap();
    assert_eq!(joined.job.id, fresh.job.id, "the unfinished one, not the one that has succeeded");
    // A failed job answers nobody.
    let leased = bench.claim().await;
    let error = JobError::permanent("BROKEN", "it is broken");
    bench.ledger.fail(&leased.lease, &error, Observed::default()).await.unwrap();
    let other = bench.ledger.submit(submit("r5").cache_key(Digest::of(b"other"))).await.unwrap();
    let leased = bench.claim().await;
    assert_eq!(leased.job.id, other.job.id);
    bench.ledger.fail(&leased.lease, &error, Observed::default()).await.unwrap();
    assert!(bench.ledger.submit(submit("r6").cache_key(Digest::of(b"other"))).await.unwrap().created);
}

async fn children_join_only_within_their_parent(bench: Bench) {
    let parents = ["p1", "p2"].map(|name| Submit::new(project(), "study", request(name), vec![]));
    let mut ids = Vec::new();
    for parent in parents {
        ids.push(bench.ledger.submit(parent).await.unwrap().job.id);
    }
    let mut study = claim("w1");
    study.kinds = vec!["study".into()];
    while bench.ledger.claim(&study).await.unwrap().is_some() {}
    let key = Digest::of(b"trial");
    let one = bench.ledger.submit(submit("t1").cache_key(key).parent(ids[0])).await.unwrap();
    let same = bench.ledger.submit(submit("t2").cache_key(key).parent(ids[0])).await.unwrap();
    let other = bench.ledger.submit(submit("t3").cache_key(key).parent(ids[1])).await.unwrap();
    assert_eq!(one.job.id, same.job.id);
    assert!(other.created, "cancelling one study must not take the other's trial away");
}

async fn claims_give_one_job_each_in_a_fair_order(bench: Bench) {
    let other = Project::new("other").unwrap();
    for n in 0..3 {
        bench.submit(&format!("a{n}")).await;
    }
    let b = Submit::new(other.clone(), "grind", request("b0"), vec![]);
    bench.ledger.submit(b).await.unwrap();
    let urgent = bench.ledger.submit(submit("urgent").priority(5)).await.unwrap().job.id;
    bench.ledger.submit(Submit::new(project(), "bake", request("other-kind"), vec![])).await.unwrap();
    let mut order = Vec::new();
    while let Some(leased) = bench.ledger.claim(&claim("w1")).await.unwrap() {
        assert_eq!((leased.job.state, leased.lease.fence), (JobState::Running, 1));
        order.push(leased.job);
    }
    assert_eq!(order[0].id, urgent);
    assert_eq!(order[1].project, other, "the project with the fewest running jobs is next");
    let payloads: Vec<_> = order[2..].iter().map(|job| job.payload.clone()).collect();
    assert_eq!(payloads, [b"a0", b"a1", b"a2"], "then the oldest");
    assert_eq!(order.len(), 5, "the other kind is not offered");
}

async fn newer_specs_are_left_for_newer_workers(bench: Bench) {
    bench.ledger.submit(submit("new").spec_version(2)).await.unwrap();
    assert!(bench.ledger.claim(&claim("old")).await.unwrap().is_none());
    let old = bench.submit("old").await.id;
    // Does not wait for long: there is something that the older worker understands.
    bench.ledger.work_available(&claim("old"), Duration::from_secs(600)).await.unwrap();
    assert_eq!(bench.claim().await.job.id, old);
    let mut newer = claim("new");
    newer.spec_version = 2;
    assert!(bench.ledger.claim(&newer).await.unwrap().is_some());
}

/// Rows of a stage, in a table that would show a second writing.
struct Flour {
    refuse: bool,
}

#[async_trait::async_trait]
impl StageRows for Flour {
    async fn write(&self, tx: &mut Tx, done: Done<'_>) -> Result<(), JobError> {
        let sql = Sql::from("insert into flour (job, grams) values ($1, $2)");
        tx.execute(&sql, values![done.job.id, done.result.len() as i64]).await?;
        if self.refuse { Err(JobError::permanent("WET", "the flour is wet")) } else { Ok(()) }
    }
}

async fn flour(bench: &Bench) -> Vec<i64> {
    let rows = bench.db.fetch(&Sql::from("select grams from flour"), vec![]).await.unwrap();
    rows.iter().map(|row| row.get("grams").unwrap()).collect()
}

async fn with_flour_table(bench: &Bench) {
    let mut tx = bench.db.begin().await.unwrap();
    tx.execute_script(&Sql::from("create table flour (job text, grams bigint)")).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_commit_is_one_transaction(bench: Bench) {
    with_flour_table(&bench).await;
    bench.submit("r1").await;
    let leased = bench.claim().await;
    let rows = Flour { refuse: false };
    let job = bench.ledger.commit(&leased.lease, &outcome("four"), Observed::default(), &rows).await.unwrap();
    assert_eq!((job.state, job.result.as_deref()), (JobState::Succeeded, Some(b"four".as_slice())));
    let read = bench.ledger.get(&project(), job.id).await.unwrap();
    assert_eq!(read, job);
    assert_eq!(flour(&bench).await, [4]);
    assert_eq!(bench.ledger.roots().await.unwrap(), [artifact("four").digest]);
}

async fn a_commit_may_be_repeated(bench: Bench) {
    with_flour_table(&bench).await;
    bench.submit("r1").await;
    let leased = bench.claim().await;
    let rows = Flour { refuse: false };
    let first = bench.ledger.commit(&leased.lease, &outcome("a"), Observed::default(), &rows).await.unwrap();
    let again = bench.ledger.commit(&leased.lease, &outcome("b"), Observed::default(), &rows).await.unwrap();
    assert_eq!(again, first, "the stored answer, not the new one");
    assert_eq!(flour(&bench).await, [1], "stage rows are written once");
}

async fn refused_rows_commit_nothing(bench: Bench) {
    with_flour_table(&bench).await;
    bench.submit("r1").await;
    let leased = bench.claim().await;
    let rows = Flour { refuse: true };
    let answer = bench.ledger.commit(&leased.lease, &outcome("a"), Observed::default(), &rows).await;
    assert!(matches!(answer, Err(LedgerError::Rows(error)) if error.reason == "WET"));
    assert!(flour(&bench).await.is_empty());
    let job = bench.ledger.get(&project(), leased.lease.job).await.unwrap();
    assert_eq!((job.state, job.outputs.len()), (JobState::Running, 0));
}

async fn a_zombie_is_refused_everything(bench: Bench) {
    bench.submit("r1").await;
    let zombie = bench.claim().await.lease;
    bench.ledger.reap().await.unwrap();
    for _ in 0..3 {
        bench.clock.advance(LEASE / 2);
        bench.ledger.reap().await.unwrap();
    }
    let successor = bench.claim().await.lease;
    assert_eq!((successor.job, successor.fence), (zombie.job, 2));
    let error = JobError::permanent("X", "x");
    assert!(lost(bench.ledger.heartbeat(&zombie, None).await));
    assert!(lost(bench.ledger.pin(&zombie, &[Digest::of(b"p")]).await));
    assert!(lost(commit(&bench, &zombie, "zombie").await));
    assert!(lost(bench.ledger.fail(&zombie, &error, Observed::default()).await));
    assert!(lost(bench.ledger.release(&zombie).await));
    bench.ledger.interrupted(&zombie).await;
    assert_eq!(commit(&bench, &successor, "live").await.unwrap().outputs, [artifact("live")]);
    assert!(lost(commit(&bench, &zombie, "zombie").await), "not the successor's answer either");
}

async fn failures_are_retried_until_the_attempts_are_used(bench: Bench) {
    let id = bench.ledger.submit(submit("r1").max_attempts(3)).await.unwrap().job.id;
    let error = JobError::transient("STORE_DOWN", "the store is down: try again");
    for fence in 1..=3 {
        let leased = bench.claim().await;
        assert_eq!(leased.lease.fence, fence);
        let job = bench.ledger.fail(&leased.lease, &error, Observed::default()).await.unwrap();
        let expected = if fence < 3 { JobState::Queued } else { JobState::Failed };
        assert_eq!((job.id, job.state), (id, expected));
    }
    let job = bench.ledger.get(&project(), id).await.unwrap();
    assert_eq!(job.error, Some(error));
    assert!(bench.ledger.claim(&claim("w1")).await.unwrap().is_none());
    bench.submit("r2").await;
    let leased = bench.claim().await;
    let broken = JobError::permanent("BROKEN", "never");
    let job = bench.ledger.fail(&leased.lease, &broken, Observed::default()).await.unwrap();
    assert_eq!((job.state, job.tries), (JobState::Failed, 1), "a permanent failure is not retried");
}

async fn released_attempts_do_not_count(bench: Bench) {
    bench.ledger.submit(submit("r1").max_attempts(1)).await.unwrap();
    for fence in 1..=4 {
        let leased = bench.claim().await;
        assert_eq!((leased.lease.fence, leased.job.tries), (fence, 1));
        bench.ledger.release(&leased.lease).await.unwrap();
    }
}

async fn expired_leases_are_taken_and_attempts_bounded(bench: Bench) {
    let id = bench.ledger.submit(submit("poison").max_attempts(2)).await.unwrap().job.id;
    bench.ledger.reap().await.unwrap();
    for expected in [JobState::Queued, JobState::Failed] {
        bench.claim().await;
        bench.clock.advance(LEASE);
        assert_eq!(bench.ledger.reap().await.unwrap(), Default::default(), "valid to its last microsecond");
        bench.clock.advance(1);
        bench.ledger.reap().await.unwrap();
        assert_eq!(bench.ledger.get(&project(), id).await.unwrap().state, expected);
    }
    let job = bench.ledger.get(&project(), id).await.unwrap();
    assert_eq!(job.error.unwrap().reason, "ATTEMPTS_EXHAUSTED");
}

async fn an_unreaped_lease_can_be_extended(bench: Bench) {
    bench.submit("r1").await;
    let lease = bench.claim().await.lease;
    for _ in 0..10 {
        bench.clock.advance(LEASE / 3);
        assert!(!bench.ledger.heartbeat(&lease, None).await.unwrap().cancel);
        assert_eq!(bench.ledger.reap().await.unwrap().requeued, 0);
    }
    // An hour of silence, but nobody has taken the lease: the fence decides, not the clock.
    bench.clock.advance(60 * LEASE);
    bench.ledger.heartbeat(&lease, None).await.unwrap();
    // A clock that went back never shortens a lease.
    bench.clock.advance(-30 * LEASE);
    bench.ledger.heartbeat(&lease, None).await.unwrap();
    commit(&bench, &lease, "late").await.unwrap();
}

async fn the_reaper_holds_off_after_an_absence(bench: Bench) {
    bench.submit("r1").await;
    let lease = bench.claim().await.lease;
    bench.clock.advance(10 * LEASE);
    assert!(bench.ledger.reap().await.unwrap().held_off, "it was away: workers could not be heard");
    bench.clock.advance(LEASE - 1);
    assert!(bench.ledger.reap().await.unwrap().held_off);
    bench.clock.advance(1);
    assert_eq!(bench.ledger.reap().await.unwrap().requeued, 1);
    assert!(lost(bench.ledger.heartbeat(&lease, None).await));
}

async fn a_restart_takes_dead_leases_at_once(mut bench: Bench) {
    let id = bench.submit("r1").await.id;
    let lease = bench.claim().await.lease;
    bench.restart().await;
    let job = bench.ledger.get(&project(), id).await.unwrap();
    assert_eq!((job.state, job.tries), (JobState::Queued, 1));
    assert!(lost(commit(&bench, &lease, "ghost").await));
    assert_eq!(bench.claim().await.lease.fence, 2);
}

async fn cancelling_waits_for_nobody_it_need_not(bench: Bench) {
    let id = bench.submit("r1").await.id;
    let job = bench.ledger.cancel(&project(), id, Some("ann")).await.unwrap();
    assert_eq!(job.state, JobState::Cancelled);
    assert!(bench.ledger.claim(&claim("w1")).await.unwrap().is_none());
    bench.ledger.cancel(&project(), id, Some("ann")).await.unwrap();
    let id = bench.submit("r2").await.id;
    let lease = bench.claim().await.lease;
    let job = bench.ledger.cancel(&project(), id, None).await.unwrap();
    assert_eq!((job.state, job.cancel_requested), (JobState::Running, true));
    bench.ledger.interrupted(&lease).await;
    assert!(bench.ledger.heartbeat(&lease, None).await.unwrap().cancel);
    let job = bench.ledger.fail(&lease, &JobError::interrupted(), Observed::default()).await.unwrap();
    assert_eq!(job.state, JobState::Cancelled);
}

async fn a_cancellation_before_the_commit_wins(bench: Bench) {
    let id = bench.submit("r1").await.id;
    let lease = bench.claim().await.lease;
    bench.ledger.cancel(&project(), id, None).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(commit(&bench, &lease, "x").await, Err(LedgerError::Cancelled { .. })));
    }
    let job = bench.ledger.get(&project(), id).await.unwrap();
    assert_eq!((job.state, job.outputs.len()), (JobState::Cancelled, 0));
    // Cancelled while the worker was lost: cancelled, not tried again.
    let id = bench.submit("r2").await.id;
    bench.claim().await;
    bench.ledger.cancel(&project(), id, None).await.unwrap();
    bench.ledger.reap().await.unwrap();
    bench.clock.advance(LEASE + 1);
    bench.ledger.reap().await.unwrap();
    bench.clock.advance(LEASE);
    bench.ledger.reap().await.unwrap();
    assert_eq!(bench.ledger.get(&project(), id).await.unwrap().state, JobState::Cancelled);
}

async fn a_cancellation_after_the_end_is_too_late(bench: Bench) {
    let id = bench.submit("r1").await.id;
    let lease = bench.claim().await.lease;
    commit(&bench, &lease, "x").await.unwrap();
    let answer = bench.ledger.cancel(&project(), id, None).await;
    assert!(matches!(answer, Err(LedgerError::TooLate { state: JobState::Succeeded, .. })));
}

async fn children_end_with_their_parent(bench: Bench) {
    let parent = bench.submit("p").await.id;
    let lease = bench.claim().await.lease;
    let child = |name: &str, kind: &str| Submit::new(project(), kind, request(name), vec![]).parent(parent);
    let waiting = bench.ledger.submit(child("c1", "bake")).await.unwrap().job.id;
    let running = bench.ledger.submit(child("c2", "grind")).await.unwrap().job.id;
    let running_lease = bench.claim().await.lease;
    assert_eq!(running_lease.job, running);
    let grandchild = Submit::new(project(), "bake", request("g"), vec![]).parent(running);
    let grandchild = bench.ledger.submit(grandchild).await.unwrap().job.id;
    let children = bench.ledger.list(&ListJobs::of(&project()).parent(parent)).await.unwrap().jobs;
    assert_eq!(children.iter().map(|job| job.id).collect::<Vec<_>>(), [running, waiting]);
    let broken = JobError::permanent("BROKEN", "never");
    bench.ledger.fail(&lease, &broken, Observed::default()).await.unwrap();
    let state = async |id| bench.ledger.get(&project(), id).await.unwrap();
    assert_eq!(state(waiting).await.state, JobState::Cancelled);
    assert_eq!(state(grandchild).await.state, JobState::Cancelled);
    assert!(state(running).await.cancel_requested);
    assert!(bench.ledger.heartbeat(&running_lease, None).await.unwrap().cancel);
    let orphan = bench.ledger.submit(child("c3", "grind")).await;
    assert!(matches!(orphan, Err(LedgerError::ParentEnded { .. })));
}

async fn observations_belong_to_what_was_committed(bench: Bench) {
    let id = bench.submit("r1").await.id;
    let error = JobError::transient("X", "x");
    let first = bench.claim().await.lease;
    let wasted = Observed { cpu: Duration::from_millis(70), peak_bytes: 5 };
    bench.ledger.fail(&first, &error, wasted).await.unwrap();
    let second = bench.claim().await.lease;
    bench.clock.advance(2 * SECOND);
    let observed = Observed { cpu: Duration::from_millis(1_500), peak_bytes: 1 << 30 };
    bench.ledger.commit(&second, &outcome("m"), observed, &()).await.unwrap();
    let attempts = bench.ledger.attempts(&project(), id).await.unwrap();
    assert_eq!(attempts.iter().map(|a| a.observed).collect::<Vec<_>>(), [wasted, observed]);
    assert_eq!(attempts[0].outcome.as_deref(), Some("failed"));
    let paid = bench.ledger.observations(&project(), artifact("m").digest).await.unwrap();
    assert_eq!(paid, attempts[1..]);
    assert_eq!(paid[0].ended_at.unwrap() - paid[0].started_at, 2 * SECOND);
}

async fn watches_resume_and_end(bench: Bench) {
    let id = bench.submit("r1").await.id;
    let mut watch = bench.ledger.watch(&project(), id, 0).await.unwrap();
    let mut kinds = Vec::new();
    let mut take = async |watch: &mut futures::stream::BoxStream<'static, Result<WatchItem, LedgerError>>| match watch
        .next()
        .await
    {
        Some(Ok(WatchItem::Event(event))) => {
            kinds.push(event.kind);
            assert_eq!(event.sequence, kinds.len() as i64, "numbers count up without gaps");
        }
        other => panic!("{other:?}"),
    };
    take(&mut watch).await;
    let lease = bench.claim().await.lease;
    take(&mut watch).await;
    drop(watch);
    bench.ledger.release(&lease).await.unwrap();
    let lease = bench.claim().await.lease;
    commit(&bench, &lease, "x").await.unwrap();
    let mut watch = bench.ledger.watch(&project(), id, 2).await.unwrap();
    for _ in 0..3 {
        take(&mut watch).await;
    }
    assert!(watch.next().await.is_none(), "ends after the last event");
    use EventKind::{Claimed, Released, Submitted, Succeeded};
    assert_eq!(kinds, [Submitted, Claimed, Released, Claimed, Succeeded]);
    let mut done = bench.ledger.watch(&project(), id, 5).await.unwrap();
    assert!(done.next().await.is_none());
    assert_eq!(bench.ledger.finished(&project(), id).await.unwrap().state, JobState::Succeeded);
}

async fn progress_is_heard_and_not_kept(mut bench: Bench) {
    let id = bench.submit("r1").await.id;
    let lease = bench.claim().await.lease;
    let mut watch = bench.ledger.watch(&project(), id, 2).await.unwrap();
    let progress = Progress { phase: "milling".into(), fraction: 0.5, message: "half".into() };
    bench.ledger.heartbeat(&lease, Some(progress.clone())).await.unwrap();
    assert_eq!(bench.ledger.get(&project(), id).await.unwrap().progress.as_ref(), Some(&progress));
    match watch.next().await {
        Some(Ok(WatchItem::Progress { sequence: 2, progress: heard, .. })) => assert_eq!(heard, progress),
        other => panic!("{other:?}"),
    }
    // Progress of a lost attempt is not shown for its successor.
    bench.restart().await;
    bench.claim().await;
    assert_eq!(bench.ledger.get(&project(), id).await.unwrap().progress, None);
}

async fn lists_come_in_pages(bench: Bench) {
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.insert(0, bench.submit(&format!("r{n}")).await.id);
    }
    let query = || ListJobs::of(&project()).kind("grind").state(JobState::Queued);
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = bench.ledger.list(&query().page(3, &token).unwrap()).await.unwrap();
        assert!(page.jobs.len() <= 3);
        seen.extend(page.jobs.iter().map(|job| job.id));
        match page.next {
            Some(next) => token = next.as_str().to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ids, "newest first, each once");
    assert!(bench.ledger.list(&ListJobs::of(&project()).kind("bake")).await.unwrap().jobs.is_empty());
    assert!(matches!(query().page(3, "nonsense"), Err(LedgerError::PageToken)));
}

async fn projects_do_not_see_each_other(bench: Bench) {
    let other = Project::new("other").unwrap();
    let key = Digest::of(b"key");
    let id = bench.ledger.submit(submit("r1").cache_key(key)).await.unwrap().job.id;
    let lease = bench.claim().await.lease;
    let unknown = |answer: Result<_, LedgerError>| matches!(answer, Err(LedgerError::NotFound { .. }));
    assert!(unknown(bench.ledger.get(&other, id).await));
    assert!(unknown(bench.ledger.cancel(&other, id, None).await));
    assert!(matches!(bench.ledger.watch(&other, id, 0).await, Err(LedgerError::NotFound { .. })));
    assert!(matches!(bench.ledger.events(&other, id, 0, 9).await, Err(LedgerError::NotFound { .. })));
    let foreign = Lease { project: other.clone(), ..lease.clone() };
    assert!(unknown(commit(&bench, &foreign, "x").await));
    commit(&bench, &lease, "x").await.unwrap();
    assert!(bench.ledger.list(&ListJobs::of(&other)).await.unwrap().jobs.is_empty());
    assert!(bench.ledger.observations(&other, artifact("x").digest).await.unwrap().is_empty());
    let theirs = Submit::new(other.clone(), "grind", request("r1"), b"r1".to_vec()).cache_key(key);
    assert!(bench.ledger.submit(theirs).await.unwrap().created, "neither request ids nor results are shared");
}

async fn every_change_has_its_event_and_audit_row(bench: Bench) {
    let id = bench.ledger.submit(submit("r1").actor("ann")).await.unwrap().job.id;
    let lease = bench.claim().await.lease;
    let error = JobError::transient("X", "the mill jams");
    bench.ledger.fail(&lease, &error, Observed::default()).await.unwrap();
    bench.claim().await;
    bench.ledger.cancel(&project(), id, Some("bob")).await.unwrap();
    let events = bench.ledger.events(&project(), id, 0, 100).await.unwrap();
    let sql = Sql::new(&schema(), "select sequence, action, actor from {s}audit where job = $1 order by sequence");
    let audit = bench.db.fetch(&sql, values![id]).await.unwrap();
    let audit: Vec<(i64, String, Option<String>)> =
        audit.iter().map(|r| (r.get("sequence").unwrap(), r.get("action").unwrap(), r.get("actor").unwrap())).collect();
    let actors = [Some("ann"), None, None, None, Some("bob")];
    let expected: Vec<_> = events
        .iter()
        .zip(actors)
        .map(|(e, actor)| (e.sequence, e.kind.as_str().to_owned(), actor.map(str::to_owned)))
        .collect();
    assert_eq!(audit, expected);
    assert_eq!(events.len(), 5);
    assert_eq!(events[2].message, "the mill jams");
}

async fn a_full_queue_refuses(mut bench: Bench) {
    bench.change(|options| options.max_queued = 2).await;
    bench.submit("r1").await;
    bench.submit("r2").await;
    assert!(matches!(bench.ledger.submit(submit("r3")).await, Err(LedgerError::QueueFull { limit: 2 })));
    bench.submit("r1").await;
    bench.claim().await;
    bench.submit("r3").await;
    for kind in [None, Some("grind")] {
        let depth = bench.ledger.depth(kind).await.unwrap();
        assert_eq!((depth.queued, depth.running), (2, 1));
    }
    assert_eq!(bench.ledger.depth(Some("other")).await.unwrap(), gristmill_jobs::Depth::default());
}

async fn watches_are_bounded_and_given_back(mut bench: Bench) {
    bench.change(|options| options.max_watches = 1).await;
    let id = bench.submit("r1").await.id;
    let open = bench.ledger.watch(&project(), id, 0).await.unwrap();
    assert!(matches!(bench.ledger.watch(&project(), id, 0).await, Err(LedgerError::TooManyWatches { .. })));
    drop(open);
    let _open = bench.ledger.watch(&project(), id, 0).await.unwrap();
}

async fn backoff_grows_and_is_capped(mut bench: Bench) {
    bench
        .change(|options| {
            options.backoff = Duration::from_secs(1);
            options.max_backoff = Duration::from_secs(4);
        })
        .await;
    bench.ledger.submit(submit("r1").max_attempts(50)).await.unwrap();
    let error = JobError::transient("X", "x");
    let mut longest = 0;
    for tries in 1..=40_u32 {
        let lease = bench.claim().await.lease;
        let job = bench.ledger.fail(&lease, &error, Observed::default()).await.unwrap();
        let wait = job.run_at - bench.clock.now();
        let bound = (SECOND << (tries - 1).min(2)).min(4 * SECOND);
        assert!((0..=bound).contains(&wait), "try {tries}: {wait}");
        longest = longest.max(wait);
        if wait > 0 {
            assert!(bench.ledger.claim(&claim("w1")).await.unwrap().is_none(), "not before its time");
        }
        bench.clock.advance(wait);
    }
    assert!(longest > 2 * SECOND);
}
