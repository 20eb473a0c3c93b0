//! Interrupted studies: restarted, cancelled, out of time.

use std::sync::Arc;

use futures::StreamExt;
use gristmill_jobs::{ListJobs, WatchItem};
use gristmill_proto::job::JobState;
use gristmill_proto::training::{CancelStudyJobRequest, Refit, StudySpec};
use gristmill_testkit::Sandbox;
use gristmill_training::{Board, Settings};
use gristmill_types::{Clock, JobId, JobState as State, ManualClock, Project, SystemClock};

use crate::support::{Bench, rows};

const TWO: Settings = Settings::new(2, 1);

/// Waits until `count` trials of a study have ended, by the events of the trials themselves.
async fn trials_done(bench: &Bench, study: JobId, count: usize) {
    let mut events = bench.ledger.watch(&Project::default(), study, 0).await.unwrap();
    loop {
        let query = ListJobs::of(&Project::default()).parent(study).page(1_000, "").unwrap();
        let jobs = bench.ledger.list(&query).await.unwrap().jobs;
        if jobs.iter().filter(|job| job.state == State::Succeeded).count() >= count {
            return;
        }
        match jobs.iter().find(|job| !job.state.is_terminal()) {
            Some(job) => drop(bench.ledger.finished(&Project::default(), job.id).await.unwrap()),
            // Nothing was submitted yet: the study's own progress says when to look again.
            None => drop(events.next().await.unwrap().unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_study_computes_no_finished_trial_again() {
    let undisturbed = Bench::new(600, TWO).await;
    let id = undisturbed.submit(undisturbed.spec(10)).await;
    let expected = undisturbed.finished(id).await;

    let mut bench = Bench::new(600, TWO).await;
    let id = bench.submit(bench.spec(10)).await;
    trials_done(&bench, id, 3).await;
    // Everything that runs gives its job back, as when the process is told to go.
    let started = bench.started.take().unwrap();
    started.drain().await;
    drop(started);
    let before = bench.trials(id).await;
    let finished: Vec<JobId> = before.iter().filter(|job| job.state == State::Succeeded).map(|job| job.id).collect();
    assert!(finished.len() >= 3 && finished.len() < 10, "{} trials had ended", finished.len());

    bench.restart(TWO).await;
    let resumed = bench.finished(id).await;
    assert_eq!(resumed.job.as_ref().unwrap().state(), JobState::Succeeded, "{:?}", resumed.job);
    assert_eq!(resumed.result, expected.result);
    for trial in bench.trials(id).await {
        if finished.contains(&trial.id) {
            let attempts = bench.ledger.attempts(&Project::default(), trial.id).await.unwrap();
            assert_eq!(attempts.iter().filter(|a| a.outcome.as_deref() == Some("succeeded")).count(), 1);
            assert_eq!(attempts.len(), before.iter().find(|job| job.id == trial.id).unwrap().fence as usize);
        }
    }
}

/// How far a fit is, as its events say, from the first that is at least at `from` on.
async fn fitting(bench: &Bench, trial: JobId, from: f64) -> f64 {
    let mut events = bench.ledger.watch(&Project::default(), trial, 0).await.unwrap();
    while let Some(item) = events.next().await {
        if let WatchItem::Progress { progress, .. } = item.unwrap()
            && progress.phase == "fitting"
            && progress.fraction >= from
        {
            return progress.fraction;
        }
    }
    let job = bench.ledger.get(&Project::default(), trial).await.unwrap();
    panic!("the trial ended before it was at {from}: {job:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_trial_goes_on_where_it_was() {
    for learner in ["boosting", "random_forest"] {
        let spec = |bench: &Bench| StudySpec {
            learners: vec![learner.into()],
            max_rounds: 3_000,
            early_stopping_rounds: 3_000,
            refit: Refit::Off.into(),
            fixed: [("random_forest.trees".to_owned(), "2000".to_owned())].into(),
            ..bench.spec(1)
        };
        let undisturbed = Bench::new(6_000, TWO).await;
        let id = undisturbed.submit(spec(&undisturbed)).await;
        let expected = undisturbed.finished(id).await;

        let mut bench = Bench::new(6_000, TWO).await;
        let id = bench.submit(spec(&bench)).await;
        while bench.trials(id).await.is_empty() {
            tokio::task::yield_now().await;
        }
        let trial = bench.trials(id).await[0].id;
        let reached = fitting(&bench, trial, 0.05).await;
        bench.started.take().unwrap().drain().await;
        bench.restart(TWO).await;
        let again = fitting(&bench, trial, 0.0).await;
        assert!(again >= reached, "{learner}: at {again} after a restart at {reached}");
        let resumed = bench.finished(id).await;
        assert_eq!(resumed.result, expected.result, "{learner}");
        assert!(bench.trials(id).await[0].fence > 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_study_ends_its_trials_within_a_second() {
    let bench = Bench::new(20_000, TWO).await;
    let spec = StudySpec {
        learners: vec!["constant".into(), "boosting".into()],
        max_rounds: 20_000,
        early_stopping_rounds: 20_000,
        ..bench.spec(6)
    };
    let id = bench.submit(spec).await;
    trials_done(&bench, id, 1).await;
    let asked = SystemClock.now();
    let request = CancelStudyJobRequest { id: id.to_string(), ..Default::default() };
    bench.client().cancel_study_job(request).await.unwrap();
    let done = bench.finished(id).await;
    assert_eq!(done.job.unwrap().state(), JobState::Cancelled);
    for trial in bench.trials(id).await {
        let ended = bench.ledger.finished(&Project::default(), trial.id).await.unwrap();
        assert!(matches!(ended.state, State::Cancelled | State::Succeeded), "{:?}", ended.state);
    }
    // Generous for a busy machine: left alone, these trials would take minutes.
    let micros = SystemClock.now() - asked;
    assert!(micros < 5_000_000, "{micros} microseconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_out_of_time_says_how_many_trials_it_did() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000_000));
    let mut sandbox = Sandbox::new().await;
    sandbox.deps.process.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let bench = Bench::on(sandbox, &rows(2_000), "random", TWO).await;
    let spec = StudySpec { time_budget_seconds: 5, lag: 1, max_rounds: 200, ..bench.spec(60) };
    let id = bench.submit(spec).await;
    trials_done(&bench, id, 1).await;
    clock.advance(10_000_000);
    let done = bench.finished(id).await;
    assert_eq!(done.job.as_ref().unwrap().state(), JobState::Succeeded, "{:?}", done.job);
    let result = done.result.unwrap();
    assert_eq!(result.stopped_by, "time");
    let board: Board = serde_json::from_slice(&bench.part(result.study.as_ref(), "leaderboard.json").await).unwrap();
    assert!(board.done >= 1 && board.done < 60, "{}", board.done);

    // Asked for as many trials and no time, the same leaderboard comes of it.
    let again = bench.submit(StudySpec { lag: 1, max_rounds: 200, ..bench.spec(board.done) }).await;
    let again = bench.finished(again).await.result.unwrap();
    assert_eq!((again.leaderboard, again.stopped_by.as_str()), (result.leaderboard, "trials"));
}
