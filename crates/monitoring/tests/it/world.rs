//! Rows of a small world with days, and models trained on them.

use std::sync::Arc;

use gristmill_learn::{
    Finish, FittedTransform, Folds, LearnerKind, NoHook, Recipe, RecipeOptions, StudySpec, TrainingSet, finish,
    run_trial,
};
use gristmill_model::Model;
use gristmill_stats::metric::ThresholdRule;
use gristmill_stats::random::{below, generator, uniform};
use gristmill_stats::special::normal_quantile;
use gristmill_types::{Column, Columns, Values};

/// Rows of one day.
pub const ROWS: u64 = 30;
/// Days of training, then validation, then live.
pub const TRAIN: u64 = 80;
pub const VALIDATION: u64 = 20;

/// What is done to live rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    None,
    /// An input that hardly matters moves.
    Minor,
    /// The input that matters most moves.
    Major,
}

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Binary,
    Multiclass,
    Regression,
}

/// Days `first..first + count`; a day shifts `temp` for all its rows.
pub fn days(seed: u64, first: u64, count: u64, target: Target, change: Change) -> Columns {
    let (mut unit, mut temp, mut load, mut wind) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut place, mut number, mut class) = (Vec::new(), Vec::new(), Vec::new());
    for day in first..first + count {
        let g = &mut generator(seed, "day", day);
        let weather = normal_quantile(uniform(g).max(1e-12));
        for _ in 0..ROWS {
            let mut normal = || normal_quantile(uniform(g).max(1e-12));
            let t = 15.0 + 2.0 * weather + normal();
            let l = 50.0 + 10.0 * normal() + if change == Change::Major { 20.0 } else { 0.0 };
            let w = 5.0 + 2.0 * normal() + if change == Change::Minor { 4.0 } else { 0.0 };
            let noise = normal();
            let p = ["north", "south", "west"][below(g, 3) as usize];
            let score = (l - 50.0) / 6.0 + (t - 15.0) / 10.0 + f64::from(u8::from(p == "west")) + noise;
            unit.push(format!("2013-{:02}-{:02}", day / 28 + 1, day % 28 + 1));
            temp.push(Some(t));
            load.push(Some(l));
            wind.push((uniform(g) > 0.1).then_some(w));
            place.push(Some(p));
            number.push(Some(score));
            class.push(if score > 1.0 {
                "late"
            } else if score > -1.0 {
                "on time"
            } else {
                "early"
            });
        }
    }
    let outcome = match target {
        Target::Binary => Column::new("y", Values::Bool(class.iter().map(|c| *c == "late").collect())),
        Target::Multiclass => Column::text("y", class.iter().map(|c| Some(*c))),
        Target::Regression => Column::float("y", number),
    };
    Columns::new(vec![
        Column::text("_unit", unit.iter().map(|v| Some(v.as_str()))),
        Column::float("temp", temp),
        Column::float("load", load),
        Column::float("wind", wind),
        Column::text("place", place),
        outcome,
    ])
    .unwrap()
}

/// A model of `learner` trained on days 0 to [`TRAIN`], its bytes naming `baseline` as its training split.
pub fn train(seed: u64, target: Target, learner: LearnerKind, baseline: &str) -> Vec<u8> {
    let rows = days(seed, 0, TRAIN, target, Change::None);
    let validation = days(seed, TRAIN, VALIDATION, target, Change::None);
    let recipe = Recipe::automatic(&rows, &RecipeOptions::for_target("y")).unwrap();
    let transform = FittedTransform::fit(&recipe, &rows, &Folds::Rows { seed }).unwrap();
    let unseen = transform.unseen(&recipe.target, &validation).unwrap();
    let set = TrainingSet::new(Arc::new(transform.matrix.clone()), Some(Arc::new(unseen))).unwrap();
    let spec = StudySpec { seed, trials: 1, learners: vec![learner], ..StudySpec::default() };
    let task = recipe.target.task;
    let trial = spec.trial(&spec.plan(task, 0), task, rows.rows(), &[]).unwrap();
    let (winner, fitted) = run_trial(&set, &trial, &NoHook).unwrap();
    let from = Finish {
        transform: &transform.to_model(),
        set: &set,
        winner: &winner,
        fitted: fitted.as_ref().unwrap(),
        refitted: None,
        calibrate: false,
        threshold: ThresholdRule::F1,
        baseline: (baseline, ""),
        example: None,
        cpu_class: "test",
    };
    finish(&from).unwrap().bytes
}

/// As [`train`], read.
pub fn model(seed: u64, target: Target, learner: LearnerKind) -> Model {
    Model::read(&train(seed, target, learner, "")).unwrap()
}
