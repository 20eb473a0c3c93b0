//! Fixtures as tables, and studies on them.

use std::sync::Arc;

use gristmill_learn::{FittedTransform, Folds, Recipe, RecipeOptions, TrainingSet};
use gristmill_types::{Column, Columns};
use serde_json::Value;

/// Numbers of the references that are not ours.
pub fn reference() -> Value {
    serde_json::from_str(include_str!("../fixtures/reference.json")).unwrap()
}

/// A CSV fixture: floats, and a last column `target`.
pub fn table(name: &str) -> Columns {
    let text = match name {
        "breast_cancer" => include_str!("../fixtures/breast_cancer.csv"),
        "wine" => include_str!("../fixtures/wine.csv"),
        _ => include_str!("../fixtures/diabetes.csv"),
    };
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let columns = names.iter().enumerate().map(|(at, name)| {
        if *name == "target" && rows.iter().all(|row| !row[at].contains('.')) {
            Column::int(*name, rows.iter().map(|row| row[at].parse().ok()))
        } else {
            Column::float(*name, rows.iter().map(|row| row[at].parse().ok()))
        }
    });
    Columns::new(columns.collect()).unwrap()
}

/// Every fifth row is validation.
pub fn split(table: &Columns) -> (Columns, Columns) {
    let validation: Vec<usize> = (0..table.rows()).filter(|row| row % 5 == 0).collect();
    let train: Vec<usize> = (0..table.rows()).filter(|row| row % 5 != 0).collect();
    (table.take(&train), table.take(&validation))
}

/// A fixture prepared, with the recipe and the transform.
pub fn prepared(name: &str) -> (Recipe, FittedTransform, TrainingSet) {
    let (train, validation) = split(&table(name));
    prepare(&train, &validation, &RecipeOptions::for_target("target"))
}

/// Rows prepared.
pub fn prepare(
    train: &Columns,
    validation: &Columns,
    options: &RecipeOptions,
) -> (Recipe, FittedTransform, TrainingSet) {
    let recipe = Recipe::automatic(train, options).unwrap();
    let fitted = FittedTransform::fit(&recipe, train, &Folds::Rows { seed: 1 }).unwrap();
    let unseen = fitted.unseen(&recipe.target, validation).unwrap();
    let set = TrainingSet::new(Arc::new(fitted.matrix.clone()), Some(Arc::new(unseen))).unwrap();
    (recipe, fitted, set)
}

/// A number of the reference.
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// A list of numbers of the reference.
pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// A small generator for test data (SplitMix64).
pub struct Draws(pub u64);

impl Draws {
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.uniform() * bound as f64) as usize
    }
}
