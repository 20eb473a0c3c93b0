//! The pure part: rows and settings to splits, recipe, transform and matrices.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_learn::{FittedTransform, Folds, Matrix, Recipe, RecipeOptions, Task};
use gristmill_types::{Column, ColumnType, Columns, ColumnsError, Values};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::PreparationError;
use crate::split::{self, Assignment, Candidate, Day, Method, Part, Plan};

/// Names a row.
const ROW_KEY: &str = "_row_key";
/// Unit of dependence.
const UNIT: &str = "_unit";

/// What is asked for, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Column that is predicted.
    pub target: String,
    /// Task, or none to detect it.
    pub task: Option<Task>,
    /// Positive class of a binary target.
    pub positive: Option<String>,
    /// Split as asked for.
    pub split: split::Request,
    /// Columns that name a row for people.
    pub id_columns: Vec<String>,
    /// If not empty, the only features.
    pub features: Vec<String>,
    /// Never features.
    pub exclude: Vec<String>,
    /// Treatments by column.
    pub overrides: BTreeMap<String, gristmill_learn::Override>,
    /// Zone of date parts where a column declares none.
    pub zone: Option<String>,
    /// Seed of random splits and folds.
    pub seed: u64,
}

/// What a dataset says about itself, as far as preparation needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DatasetFacts {
    /// Columns only known after the moment of prediction: never features.
    #[serde(default)]
    pub known_after: Vec<String>,
}

/// What a split is, as its artifact says it (`split.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitReport {
    /// `train`, `validation` or `test`.
    pub part: String,
    /// Rows in it.
    pub rows: usize,
    /// Rows in each split.
    pub train_rows: usize,
    /// Rows in validation.
    pub validation_rows: usize,
    /// Rows in test.
    pub test_rows: usize,
    /// Rows without a target, in no split.
    pub rows_without_target: usize,
    /// Rows in the gap or without a time, in no split.
    pub rows_left: usize,
    /// Units of dependence in it.
    pub units: usize,
    /// What a unit is: `row`, or the column it comes from.
    pub unit: String,
    /// The decision and its reason.
    pub plan: Plan,
    /// Last day of training and of validation.
    pub until: Option<(Day, Day)>,
    /// Target column.
    pub target: String,
    /// Task.
    pub task: Task,
    /// Labels by class index.
    pub labels: Vec<String>,
}

/// Everything preparation makes.
#[derive(Debug)]
pub struct Prepared {
    /// What is done with each column, and why.
    pub recipe: Recipe,
    /// The transform, and the training matrix.
    pub fitted: FittedTransform,
    /// Validation rows through the interpreter.
    pub validation: Matrix,
    /// Raw rows by split: train, validation, test.
    pub rows: [Columns; 3],
    /// What each split is.
    pub reports: [SplitReport; 3],
}

/// Splits `rows`, decides the recipe and fits it on the training rows alone.
///
/// # Errors
/// [`PreparationError`] says what does not fit.
pub fn prepare(rows: Columns, facts: &DatasetFacts, settings: &Settings) -> Result<Prepared, PreparationError> {
    let target = target_of(&rows, settings)?;
    let known: Vec<usize> = (0..rows.rows()).filter(|row| is_known(target, *row)).collect();
    if known.is_empty() {
        return Err(PreparationError::NullTarget(settings.target.clone()));
    }
    let without_target = rows.rows() - known.len();
    let rows = if without_target == 0 { rows } else { take(&rows, &known)? };
    let target = target_of(&rows, settings)?;

    let plan = split::decide(
        &settings.split,
        Candidate { rows: &rows, target: &settings.target, id_columns: &settings.id_columns },
    )?;
    let keys = row_keys(&rows);
    let assignment = split::assign(&plan, &rows, &keys, target, settings.seed)?;
    let (rows, unit) = with_units(rows, &keys, &plan, &assignment)?;
    let part = |part: Part| take(&rows, &assignment.rows(part));
    let parts = [part(Part::Train)?, part(Part::Validation)?, part(Part::Test)?];
    drop(rows);
    let [train, validation, _] = &parts;

    let recipe = Recipe::automatic(train, &options(settings, facts, &plan, train))?;
    check_classes(&recipe, settings, &parts)?;
    let folds = match plan.method {
        Method::Time => Folds::Time { column: plan.column.clone().unwrap_or_default() },
        Method::Group => Folds::Units { seed: settings.seed },
        _ => Folds::Rows { seed: settings.seed },
    };
    let fitted = FittedTransform::fit(&recipe, train, &folds)?;
    let validation_matrix = fitted.unseen(&recipe.target, validation)?;
    let left = assignment.parts.iter().filter(|part| **part == Part::Left).count();
    let [train_rows, validation_rows, test_rows] = [0, 1, 2].map(|at: usize| parts[at].rows());
    let report = |name: &str, part: &Columns| SplitReport {
        part: name.into(),
        rows: part.rows(),
        train_rows,
        validation_rows,
        test_rows,
        rows_without_target: without_target,
        rows_left: left,
        units: distinct_units(part),
        unit: unit.clone(),
        plan: plan.clone(),
        until: assignment.until,
        target: settings.target.clone(),
        task: recipe.target.task,
        labels: recipe.target.labels.clone(),
    };
    let [train, validation, test] = &parts;
    let reports = [report("train", train), report("validation", validation), report("test", test)];
    Ok(Prepared { recipe, fitted, validation: validation_matrix, rows: parts, reports })
}

fn target_of<'a>(rows: &'a Columns, settings: &Settings) -> Result<&'a Column, PreparationError> {
    rows.get(&settings.target).ok_or_else(|| {
        let names = rows.columns().iter().map(|c| c.name.as_str()).filter(|name| !name.starts_with('_'));
        let available = names.take(40).collect::<Vec<_>>().join(", ");
        PreparationError::NoTarget { name: settings.target.clone(), available }
    })
}

/// The rows `picked`, columns in parallel.
fn take(rows: &Columns, picked: &[usize]) -> Result<Columns, ColumnsError> {
    Columns::new(rows.columns().par_iter().map(|column| column.take(picked)).collect())
}

fn is_known(column: &Column, row: usize) -> bool {
    column.is_valid(row)
        && match &column.values {
            Values::Float(values) => values.get(row).is_some_and(|value| !value.is_nan()),
            _ => true,
        }
}

fn row_keys(rows: &Columns) -> Vec<i64> {
    match rows.get(ROW_KEY).map(|column| &column.values) {
        Some(Values::Int(keys)) => keys.clone(),
        // A dataset from elsewhere names its rows by their place.
        _ => (0..rows.rows()).map(|row| i64::try_from(row).unwrap_or(i64::MAX)).collect(),
    }
}

/// Adds `_row_key` and `_unit` where they are missing; the dataset's own units win.
fn with_units(
    rows: Columns,
    keys: &[i64],
    plan: &Plan,
    assignment: &Assignment,
) -> Result<(Columns, String), PreparationError> {
    let has = |name: &str| rows.get(name).is_some();
    let (has_key, has_unit) = (has(ROW_KEY), has(UNIT));
    let mut columns = rows.into_columns();
    if !has_key {
        columns.push(Column::new(ROW_KEY, Values::Int(keys.to_vec())));
    }
    let mut unit = if has_unit { "as the dataset declares".to_owned() } else { "row".to_owned() };
    if !has_unit && let Some(units) = &assignment.units {
        columns.push(Column::new(UNIT, Values::Text(units.clone())));
        let column = plan.column.as_deref().unwrap_or_default();
        unit = if plan.method == Method::Time { format!("local day of {column}") } else { column.to_owned() };
    }
    Ok((Columns::new(columns)?, unit))
}

fn distinct_units(rows: &Columns) -> usize {
    match rows.get(UNIT).map(|column| &column.values) {
        Some(Values::Text(text)) => text.codes.iter().collect::<BTreeSet<_>>().len(),
        _ => rows.rows(),
    }
}

fn options(settings: &Settings, facts: &DatasetFacts, plan: &Plan, train: &Columns) -> RecipeOptions {
    let mut exclude: BTreeSet<String> = settings.exclude.iter().cloned().collect();
    // What is only known afterwards can't inform a prediction, whatever else was asked for.
    exclude.extend(facts.known_after.iter().filter(|name| train.get(name).is_some()).cloned());
    exclude.remove(&settings.target);
    let mut zones = BTreeMap::new();
    if let Some(zone) = &settings.zone {
        for column in train.columns() {
            if column.column_type() == (ColumnType::Timestamp { zone: None }) {
                zones.insert(column.name.clone(), zone.clone());
            }
        }
    }
    let split_time = (plan.method == Method::Time).then(|| plan.column.clone()).flatten();
    RecipeOptions {
        target: settings.target.clone(),
        task: settings.task,
        positive: settings.positive.clone(),
        id_columns: settings.id_columns.clone(),
        include: settings.features.clone(),
        exclude: exclude.into_iter().collect(),
        overrides: settings.overrides.clone(),
        split_time,
        zones,
    }
}

/// Every split must hold at least two classes, and training all that validation and test hold.
fn check_classes(recipe: &Recipe, settings: &Settings, parts: &[Columns; 3]) -> Result<(), PreparationError> {
    if recipe.target.task == Task::Regression {
        return Ok(());
    }
    for (name, part) in ["train", "validation", "test"].iter().zip(parts) {
        let Some(column) = part.get(&settings.target) else { continue };
        let encoded = recipe.target.encode(column)?;
        if let Some((label, count)) = encoded.unseen.first_key_value() {
            let message = format!(
                "target: {count} rows of {name} are `{label}`, which no training row is: split by another method, or pool or filter the class"
            );
            return Err(PreparationError::OneClass(message));
        }
        let first = encoded.values.first();
        if encoded.values.iter().all(|class| Some(class) == first) {
            let message = format!(
                "target: every row of {name} has the same class, so nothing can be judged on it: split by another method, or move the boundaries"
            );
            return Err(PreparationError::OneClass(message));
        }
    }
    Ok(())
}
