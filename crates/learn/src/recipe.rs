//! What becomes of every column, decided from training rows and explained in words.

mod columns;
mod dates;
mod options;
mod season;

use gristmill_types::{Column, ColumnType, Columns, Limits};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{LearnError, TargetPlan};
pub(crate) use columns::vocabulary;
use columns::{Context, Summary};
use season::Season;

pub use dates::Part;
pub use options::{Override, RecipeOptions};

/// The version written into `recipe.json`.
pub const RECIPE_VERSION: u32 = 1;

/// Every decision made about a table, before anything is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Format of this document.
    pub version: u32,
    /// What is predicted.
    pub target: TargetPlan,
    /// Columns that name a row and are never read.
    pub id_columns: Vec<String>,
    /// The column rows were split by in time.
    pub split_time: Option<String>,
    /// One plan per column of the table, in its order, the target and reserved columns excepted.
    pub columns: Vec<ColumnPlan>,
    /// Differences of two timestamps.
    pub elapsed: Vec<ElapsedPlan>,
    /// How target encodings are computed.
    pub encoding: EncodingPlan,
}

/// What becomes of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnPlan {
    /// The column.
    pub column: String,
    /// Its type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Rows without a value.
    pub nulls: usize,
    /// Distinct values.
    pub distinct: usize,
    /// What is done with it.
    pub treatment: Treatment,
    /// What is done with it, in words.
    pub what: String,
    /// Why, in words.
    pub why: String,
}

/// What is done with one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// Raw for trees; imputed by the median and standardised for linear models.
    Number {
        /// Whether a 0/1 column says where the value was missing.
        indicator: bool,
    },
    /// Ids by frequency.
    Category {
        /// At most this many values get an id of their own.
        keep: usize,
        /// A value that occurs less often shares the id of the unknown.
        min_count: usize,
        /// Whether linear models read the ids as indicator columns.
        one_hot: bool,
        /// Whether trees read the ids as numbers.
        ids: bool,
        /// Whether the target's mean per value is a feature.
        target_encoding: bool,
    },
    /// A few whole numbers: as a number, and as indicator columns for linear models.
    FewNumbers {
        /// Whether a 0/1 column says where the value was missing.
        indicator: bool,
    },
    /// Calendar parts.
    DateParts {
        /// Which parts.
        parts: Vec<Part>,
        /// IANA zone the parts are read in; none for dates and wall-clock times.
        zone: Option<String>,
    },
    /// Not used.
    Drop,
}

/// `to` − `from` in seconds, as a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElapsedPlan {
    /// The earlier column as a rule.
    pub from: String,
    /// The later column as a rule.
    pub to: String,
    /// Why, in words.
    pub why: String,
}

/// How target encodings are computed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EncodingPlan {
    /// Rows that the overall mean counts for: (sum + smoothing × mean) / (rows + smoothing).
    pub smoothing: f64,
    /// Folds of the cross-fitted training columns.
    pub folds: usize,
}

impl Default for EncodingPlan {
    fn default() -> Self {
        Self { smoothing: 20.0, folds: 5 }
    }
}

impl Recipe {
    /// Decides what becomes of every column of `train`.
    ///
    /// Reads training rows only. Columns whose names start with `_` are reserved and passed over.
    ///
    /// # Errors
    /// [`LearnError::Target`] for a target that cannot be learned, [`LearnError::Column`] for an
    /// option naming a column that is not there, an override that does not fit, or a wall-clock
    /// timestamp without a declared zone, and [`LearnError::Recipe`] if no column is left.
    pub fn automatic(train: &Columns, options: &RecipeOptions) -> Result<Self, LearnError> {
        options.check(train)?;
        let target = train.get(&options.target).ok_or_else(|| {
            LearnError::target(&options.target, format!("no such column: the table has {}", columns::names(train)))
        })?;
        let target = TargetPlan::decide(target, options.task, options.positive.as_deref())?;
        let read = |column: &&Column| column.name != options.target && !column.name.starts_with('_');
        let read: Vec<&Column> = train.columns().iter().filter(read).collect();
        let season = Season::of(train, options);
        // Columns in parallel; plans and the first error in the order of the table.
        let plans: Vec<Result<ColumnPlan, LearnError>> = read
            .par_iter()
            .map(|column| {
                let summary = Summary::of(column);
                columns::plan(column, &summary, &Context { table: train, target: &target, options, season: &season })
            })
            .collect();
        let plans = plans.into_iter().collect::<Result<Vec<_>, _>>()?;
        let elapsed = dates::elapsed(train, &plans, options);
        if plans.iter().all(|plan| plan.treatment == Treatment::Drop) && elapsed.is_empty() {
            let why: Vec<String> = plans.iter().take(8).map(|p| format!("`{}`: {}", p.column, p.why)).collect();
            return Err(LearnError::Recipe(format!(
                "no column is left to learn from ({}): include one or override its treatment",
                why.join("; ")
            )));
        }
        Ok(Self {
            version: RECIPE_VERSION,
            target,
            id_columns: options.id_columns.clone(),
            split_time: options.split_time.clone(),
            columns: plans,
            elapsed,
            encoding: EncodingPlan::default(),
        })
    }

    /// Names of the columns that a caller must send, in the table's order.
    pub fn inputs(&self) -> Vec<&str> {
        let in_elapsed = |name: &str| self.elapsed.iter().any(|e| e.from == name || e.to == name);
        self.columns
            .iter()
            .filter(|plan| plan.treatment != Treatment::Drop || in_elapsed(&plan.column))
            .map(|plan| plan.column.as_str())
            .collect()
    }

    /// Writes the recipe as JSON, the same bytes for the same recipe.
    ///
    /// # Errors
    /// [`LearnError::Recipe`] if a number in it is not finite.
    pub fn to_json(&self) -> Result<Vec<u8>, LearnError> {
        serde_json::to_vec_pretty(self).map_err(|error| LearnError::Recipe(error.to_string()))
    }

    /// Reads a recipe.
    ///
    /// # Errors
    /// [`LearnError::Recipe`] if the bytes are not a recipe of this version.
    pub fn from_json(bytes: &[u8]) -> Result<Self, LearnError> {
        let recipe: Self = serde_json::from_slice(bytes).map_err(|error| LearnError::Recipe(error.to_string()))?;
        if recipe.version != RECIPE_VERSION {
            return Err(LearnError::Recipe(format!(
                "version {} where {RECIPE_VERSION} is read: prepare the data again",
                recipe.version
            )));
        }
        if recipe.columns.len() > Limits::DEFAULT.columns {
            return Err(LearnError::Recipe(format!("more than {} columns", Limits::DEFAULT.columns)));
        }
        Ok(recipe)
    }
}
