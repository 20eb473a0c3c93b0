//! A shuffled target teaches nothing, however many values a category has (ml-contract §5).

use gristmill_learn::{
    BlockKind, FitContext, FittedTransform, Folds, LearnerKind, NoHook, Override, Recipe, RecipeOptions, judge,
};
use gristmill_types::{Column, Columns, Values};

use crate::support::{Draws, prepare};

const ROWS: usize = 4_000;

/// A near-unique category, one of few values, a number, days, and a target that has nothing to do with them.
fn shuffled(seed: u64) -> Columns {
    let mut draws = Draws(seed);
    let names: Vec<String> = (0..ROWS).map(|_| format!("n{}", draws.below(ROWS / 2))).collect();
    let groups: Vec<String> = (0..ROWS).map(|_| format!("g{}", draws.below(30))).collect();
    let noise: Vec<f64> = (0..ROWS).map(|_| draws.uniform()).collect();
    let target: Vec<bool> = (0..ROWS).map(|_| draws.uniform() < 0.3).collect();
    let micros = (0..ROWS as i64).map(|row| row * 3_600_000_000).collect();
    Columns::new(vec![
        Column::text("name", names.iter().map(|n| Some(n.as_str()))),
        Column::text("group", groups.iter().map(|n| Some(n.as_str()))),
        Column::float("noise", noise.iter().map(|n| Some(*n))),
        Column::new("at", Values::Timestamp { zone: Some("UTC".into()), micros }),
        Column::new("target", Values::Bool(target)),
    ])
    .unwrap()
}

fn options() -> RecipeOptions {
    let mut options = RecipeOptions::for_target("target");
    options.overrides.insert("name".into(), Override::TargetEncoding);
    options
}

#[test]
fn a_shuffled_target_gives_an_auc_of_one_half() {
    for kind in [LearnerKind::Boosting, LearnerKind::Logistic, LearnerKind::RandomForest] {
        let mut sum = 0.0;
        for seed in 0..3 {
            let table = shuffled(seed * 7_919 + 1);
            let validation: Vec<usize> = (0..ROWS).filter(|row| row % 3 == 0).collect();
            let train: Vec<usize> = (0..ROWS).filter(|row| row % 3 != 0).collect();
            let (_, _, set) = prepare(&table.take(&train), &table.take(&validation), &options());
            let params = kind.learner().space(set.train().task, set.train().rows()).defaults();
            let context = FitContext { seed, rounds: (kind == LearnerKind::Boosting).then_some(40), hook: &NoHook };
            let fitted = kind.learner().fit(&set, &params, &context).unwrap();
            sum += judge(&fitted, set.validation().unwrap(), None).unwrap().metrics["roc_auc"];
        }
        // The standard error of one AUC is about 0.017 here, of the mean of three 0.010.
        let auc = sum / 3.0;
        assert!((auc - 0.5).abs() < 0.04, "{kind}: {auc}");
    }
}

/// Correlation of a cross-fitted column with the target it was made from.
fn correlation(folds: &Folds, column: &str) -> f64 {
    let table = shuffled(11);
    let mut options = options();
    options.overrides.insert(column.into(), Override::TargetEncoding);
    let recipe = Recipe::automatic(&table, &options).unwrap();
    let fitted = FittedTransform::fit(&recipe, &table, folds).unwrap();
    let raw = fitted.matrix.numeric_block(BlockKind::NumericRaw);
    let slot = raw.iter().find(|slot| slot.name.starts_with(column) && slot.name.contains("mean of")).unwrap();
    let n = ROWS as f64;
    let x: Vec<f64> = slot.values.iter().map(|v| f64::from(*v)).collect();
    let y = &fitted.matrix.target;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let covariance: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    let (vx, vy): (f64, f64) = (x.iter().map(|x| (x - mx).powi(2)).sum(), y.iter().map(|y| (y - my).powi(2)).sum());
    covariance / (vx * vy).sqrt()
}

#[test]
fn cross_fitted_encodings_do_not_know_their_row() {
    for folds in [Folds::Rows { seed: 5 }, Folds::Units { seed: 5 }, Folds::Time { column: "at".into() }] {
        for column in ["name", "group"] {
            // The standard error of a correlation of nothing is 0.016. Leaving a row's own target out of
            // its category's mean pulls the two slightly apart, never together.
            let r = correlation(&folds, column);
            assert!(r < 0.05 && r > -0.25, "{folds:?} {column}: {r}");
        }
    }
}
