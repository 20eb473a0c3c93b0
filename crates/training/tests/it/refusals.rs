//! What a study refuses, and what it survives.

use gristmill_proto::job::JobState;
use gristmill_proto::training::{CreateStudyJobRequest, StudySpec};
use gristmill_testkit::Sandbox;
use gristmill_training::{Board, Settings};
use gristmill_types::{Column, Columns, Values};

use crate::support::Bench;

const TWO: Settings = Settings::new(2, 1);

#[tokio::test(flavor = "multi_thread")]
async fn bad_specs_are_refused_before_anything_is_recorded() {
    let bench = Bench::new(200, TWO).await;
    let fixed = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into_iter().collect();
    for (spec, expected) in [
        (StudySpec { learners: vec!["xgboost".into()], ..bench.spec(1) }, "`xgboost` is not a learner"),
        (StudySpec { threshold: "best".into(), ..bench.spec(1) }, "write f1 or cost"),
        (StudySpec { threshold: "cost".into(), ..bench.spec(1) }, "positive number"),
        (StudySpec { false_positive_cost: 2.0, ..bench.spec(1) }, "only with threshold"),
        (StudySpec { fixed: fixed("max_depth", "3"), ..bench.spec(1) }, "learner.parameter"),
        (StudySpec { train: None, ..bench.spec(1) }, "train"),
        (StudySpec { trials: 1_000_000, ..bench.spec(1) }, "at most"),
    ] {
        let request = CreateStudyJobRequest { spec: Some(spec), ..Default::default() };
        let status = bench.client().create_study_job(request).await.unwrap_err();
        assert!(status.message().contains(expected), "{}", status.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn learners_and_parameters_must_fit_the_task() {
    let bench = Bench::new(200, TWO).await;
    let fixed = |key: &str| [(key.to_owned(), "3".to_owned())].into_iter().collect();
    for (spec, expected) in [
        (StudySpec { learners: vec!["elastic_net".into()], ..bench.spec(1) }, "cannot learn a binary task"),
        (StudySpec { fixed: fixed("boosting.max_dept"), ..bench.spec(1) }, "no such parameter"),
    ] {
        let id = bench.submit(spec).await;
        let job = bench.finished(id).await.job.unwrap();
        assert_eq!(job.state(), JobState::Failed);
        let error = job.error.unwrap();
        assert_eq!(error.reason, "INVALID_STUDY");
        assert!(error.message.contains(expected), "{}", error.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_that_cannot_learn_fails_its_trial_not_the_study() {
    // Nothing but a category: there is no number for naive Bayes.
    let groups: Vec<&str> = (0..400).map(|row| ["a", "b", "c"][row % 3]).collect();
    let table = Columns::new(vec![
        Column::text("group", groups.iter().map(|group| Some(*group))),
        Column::new("late", Values::Bool((0..400).map(|row| row % 3 == 0 || row % 7 == 0).collect())),
    ])
    .unwrap();
    let bench = Bench::on(Sandbox::new().await, &table, "random", TWO).await;
    let learners = vec!["naive_bayes".into(), "logistic".into(), "constant".into()];
    let id = bench.submit(StudySpec { learners, ..bench.spec(3) }).await;
    let done = bench.finished(id).await;
    assert_eq!(done.job.as_ref().unwrap().state(), JobState::Succeeded, "{:?}", done.job);
    let result = done.result.unwrap();
    assert_eq!(result.leaderboard.len(), 2);
    assert_eq!(result.leaderboard[0].learner, "logistic");
    let board: Board = serde_json::from_slice(&bench.part(result.study.as_ref(), "leaderboard.json").await).unwrap();
    let text = serde_json::to_string(board.leaderboard.last().unwrap()).unwrap();
    assert!(text.contains("\"failed\"") && text.contains("no number is prepared"), "{text}");

    let only = bench.submit(StudySpec { learners: vec!["naive_bayes".into()], ..bench.spec(1) }).await;
    let error = bench.finished(only).await.job.unwrap().error.unwrap();
    assert_eq!(error.reason, "NO_MODEL");
    assert!(error.message.contains("naive_bayes: no number is prepared"), "{}", error.message);
}
