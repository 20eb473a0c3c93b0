//! Interrupted fits: what goes on from a checkpoint ends as what was never interrupted.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use gristmill_learn::{
    Hook, LearnError, LearnerKind, NoHook, ParamValue, Params, Task, TrainingSet, Trial, refit, run_trial,
};

use crate::support::prepared;

/// Takes a checkpoint every `every` rounds, and stops after `stop` rounds of one attempt.
struct Keeper {
    every: u32,
    stop: u32,
    rounds: AtomicU32,
    earlier: Option<Vec<u8>>,
    kept: Mutex<Option<Vec<u8>>>,
}

impl Keeper {
    fn new(every: u32, stop: u32, earlier: Option<Vec<u8>>) -> Self {
        Self { every, stop, rounds: AtomicU32::new(0), earlier, kept: Mutex::default() }
    }
}

impl Hook for Keeper {
    fn round(&self, _round: u32, _of: u32, _score: Option<f64>) -> ControlFlow<()> {
        let done = self.rounds.fetch_add(1, Ordering::SeqCst) + 1;
        if done >= self.stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn checkpoint_due(&self) -> bool {
        self.rounds.load(Ordering::SeqCst).is_multiple_of(self.every)
    }

    fn keep(&self, checkpoint: Vec<u8>) {
        *self.kept.lock().unwrap() = Some(checkpoint);
    }

    fn checkpoint(&self) -> Option<&[u8]> {
        self.earlier.as_deref()
    }
}

fn trial(learner: LearnerKind, seed: u64) -> Trial {
    let params: &[(&str, f64)] = match learner {
        LearnerKind::Boosting => &[("subsample", 0.7), ("colsample_bytree", 0.6), ("max_depth", 4.0)],
        _ => &[("features", 0.4), ("trees", 60.0)],
    };
    let value = |v: f64| if v.fract() == 0.0 { ParamValue::Int(v as i64) } else { ParamValue::Float(v) };
    let params = Params(params.iter().map(|(name, v)| ((*name).to_owned(), value(*v))).collect());
    Trial { number: 0, learner, params, seed }
}

/// Attempts until one ends: each stops after a few rounds and hands its last checkpoint to the next.
fn in_attempts(set: &TrainingSet, trial: &Trial, again: Option<u32>) -> (String, u32) {
    let mut earlier = None;
    for attempt in 1.. {
        // The seventh attempt is left alone: its rounds are the rest, with checkpoints all the same.
        let keeper = Keeper::new(2 + attempt % 3, if attempt < 7 { 5 } else { u32::MAX }, earlier.take());
        let ended = match again {
            Some(rounds) => refit(set, trial, Some(rounds), &keeper).map(|fitted| format!("{fitted:?}")),
            None => run_trial(set, trial, &keeper).map(|done| format!("{done:?}")),
        };
        match ended {
            Ok(text) => return (text, attempt),
            Err(LearnError::Cancelled) => earlier = keeper.kept.into_inner().unwrap().or(keeper.earlier),
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!()
}

#[test]
fn a_fit_in_many_attempts_is_the_fit_in_one() {
    for name in ["breast_cancer", "wine", "diabetes"] {
        let (_, _, set) = prepared(name);
        for learner in [LearnerKind::Boosting, LearnerKind::RandomForest] {
            let trial = trial(learner, 11);
            let whole = run_trial(&set, &trial, &NoHook).unwrap();
            let rounds = whole.0.rounds().unwrap();
            let (text, attempts) = in_attempts(&set, &trial, None);
            assert!(attempts >= 3, "{name} {learner}: {attempts} attempts at {rounds} rounds");
            assert!(text == format!("{whole:?}"), "{name} {learner} in {attempts} attempts");

            let whole = refit(&set, &trial, Some(rounds), &NoHook).unwrap();
            assert!(in_attempts(&set, &trial, Some(rounds)).0 == format!("{whole:?}"), "{name} {learner} refitted");
        }
    }
}

#[test]
fn a_checkpoint_that_does_not_fit_is_passed_over() {
    let (_, _, set) = prepared("breast_cancer");
    assert_eq!(set.train().task, Task::Binary);
    for learner in [LearnerKind::Boosting, LearnerKind::RandomForest] {
        let keeper = Keeper::new(4, 9, None);
        assert!(matches!(run_trial(&set, &trial(learner, 1), &keeper), Err(LearnError::Cancelled)));
        let good = keeper.kept.into_inner().unwrap().unwrap();
        let whole = format!("{:?}", run_trial(&set, &trial(learner, 2), &NoHook).unwrap());
        let mut cut = good.clone();
        cut.truncate(good.len() / 2);
        // Of another seed, cut off, and nothing like one.
        for bytes in [good, cut, b"{}\nnothing".to_vec(), Vec::new()] {
            let keeper = Keeper::new(u32::MAX, u32::MAX, Some(bytes));
            assert!(format!("{:?}", run_trial(&set, &trial(learner, 2), &keeper).unwrap()) == whole, "{learner}");
        }
    }
}
