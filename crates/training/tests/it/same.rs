//! The same bytes with one worker, with two, and with workers elsewhere.

use std::sync::Arc;

use gristmill_model::Model;
use gristmill_proto::job::JobState;
use gristmill_training::{Board, ModelSummary, Settings, trial_workers};

use crate::support::{Bench, rows};

const ONE: Settings = Settings::new(1, 1);
const TWO: Settings = Settings::new(2, 1);

/// Digests of a study's outputs and of its trials' models.
async fn digests(bench: &Bench, trials: u32) -> (Vec<String>, Vec<String>) {
    let id = bench.submit(bench.spec(trials)).await;
    let done = bench.finished(id).await;
    let job = done.job.unwrap();
    assert_eq!(job.state(), JobState::Succeeded, "{:?}", job.error);
    let outputs = job.outputs.iter().map(|output| output.digest.clone()).collect();
    let children = bench.trials(id).await;
    let mut models: Vec<String> = children.iter().flat_map(|job| job.outputs.iter().map(ToString::to_string)).collect();
    models.sort();
    (outputs, models)
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_and_threads_do_not_change_a_byte() {
    let one = digests(&Bench::new(600, ONE).await, 9).await;
    let two = digests(&Bench::new(600, TWO).await, 9).await;
    assert_eq!(one, two);
    let threads = digests(&Bench::new(600, Settings::new(1, 2)).await, 9).await;
    assert_eq!(one, threads);
    assert_eq!(one.0.len(), 2);
    // Nine trials and the second fit of the winner.
    assert_eq!(one.1.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_elsewhere_lease_trials_over_a_channel() {
    let here = digests(&Bench::new(400, ONE).await, 6).await;
    let bench = Bench::new(400, Settings::new(0, 1)).await;
    let deps = &bench.sandbox.deps;
    let workers = trial_workers(
        "elsewhere",
        deps.store.clone(),
        deps.slots.clone(),
        Arc::clone(&deps.process.clock),
        bench.channel(),
        TWO,
    );
    let running = workers.start();
    let there = digests(&bench, 6).await;
    assert_eq!(here, there);
    running.drain(std::time::Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_leaves_a_leaderboard_and_a_model_that_checks_itself() {
    let bench = Bench::new(800, TWO).await;
    let id = bench.submit(bench.spec(8)).await;
    let done = bench.finished(id).await;
    let result = done.result.unwrap();
    assert_eq!((result.objective.as_str(), result.stopped_by.as_str()), ("log_loss", "trials"));
    assert_eq!(result.leaderboard.len(), 8);
    assert!(result.leaderboard.windows(2).all(|pair| pair[0].score <= pair[1].score));
    assert_eq!(result.leaderboard.last().unwrap().learner, "constant");

    let board: Board = serde_json::from_slice(&bench.part(result.study.as_ref(), "leaderboard.json").await).unwrap();
    assert_eq!((board.done, board.leaderboard.len()), (8, 8));
    let summary: ModelSummary = serde_json::from_slice(&bench.part(result.model.as_ref(), "model.json").await).unwrap();
    assert!(summary.refitted, "a time split is fitted again");
    assert_eq!(summary.fitted_rows, 800);
    assert_eq!(summary.learner, result.leaderboard[0].learner);
    assert_eq!(summary.validation_loss, result.leaderboard[0].score);

    let model = Model::read(&bench.part(result.model.as_ref(), "model.gmm").await).unwrap();
    model.check_example().unwrap();
    let predicted = model.predict(&rows(50)).unwrap();
    assert_eq!(predicted.labels.as_ref(), ["false", "true"]);
    assert_eq!(predicted.rows(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_equal_study_is_answered_and_a_longer_one_takes_over_the_trials() {
    let bench = Bench::new(400, TWO).await;
    let first = bench.submit(bench.spec(5)).await;
    bench.finished(first).await;
    assert_eq!(bench.submit(bench.spec(5)).await, first);
    // The first five trials of a longer study are the same jobs with the same answers.
    let longer = bench.submit(bench.spec(7)).await;
    let done = bench.finished(longer).await;
    assert_eq!(done.job.unwrap().state(), JobState::Succeeded);
    let own = bench.trials(longer).await;
    assert!(own.len() <= 3, "{} trials were computed again", own.len());
}
