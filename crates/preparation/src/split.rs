//! Which row goes to training, validation and test: decided once, with a reason, before anything is
//! fitted.
//!
//! A unit of dependence never straddles two splits: a time split cuts between local days, a group
//! split between groups. Splits depend on row keys, times and groups only, so the order of rows in a
//! file changes nothing.

mod assign;
mod day;
mod decide;

pub use assign::{Assignment, assign};
pub use day::{Day, local_days};
pub use decide::{Candidate, decide};

use serde::{Deserialize, Serialize};

/// How rows are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Earlier days train, later days test.
    Time,
    /// Rows of one group stay together.
    Group,
    /// Each class (or each tenth of a numeric target) keeps its share in every split.
    Stratified,
    /// At random.
    Random,
    /// By a hash of the row key: a row keeps its split when others come or go.
    Hash,
}

/// What the caller asked for; absent parts are decided from the data.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    /// Method, or none to choose.
    pub method: Option<Method>,
    /// Time or group column.
    pub column: Option<String>,
    /// Shares of rows for train, validation and test; none for 60/20/20.
    pub shares: Option<[f64; 3]>,
    /// Last day of training and of validation, inclusive, in the column's zone.
    pub until: Option<(Day, Day)>,
    /// Left out before each boundary, in seconds.
    pub gap_seconds: i64,
}

/// A checked decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Method.
    pub method: Method,
    /// Time or group column, where the method has one.
    pub column: Option<String>,
    /// Shares of rows for train, validation and test.
    pub shares: [f64; 3],
    /// Last day of training and of validation, inclusive.
    pub until: Option<(Day, Day)>,
    /// Left out before each boundary, in seconds.
    pub gap_seconds: i64,
    /// Why, in one sentence.
    pub reason: String,
}

/// Where a row goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Fitting.
    Train,
    /// Early stopping, choice of trial, calibration, threshold.
    Validation,
    /// Evaluation alone.
    Test,
    /// In the gap before a boundary, or without a time: in no split.
    Left,
}

/// Why a split can't be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SplitError {
    /// The named column is not in the dataset.
    #[error("split.column: the dataset has no column `{0}`{1}")]
    NoColumn(String, String),
    /// The column can't serve the method.
    #[error("split.column: `{column}` is {found}; a {method} split needs {needed}")]
    Unfit {
        /// Column.
        column: String,
        /// Its type.
        found: String,
        /// `time` or `group`.
        method: &'static str,
        /// What it needs.
        needed: &'static str,
    },
    /// A naive timestamp can't be turned into days of any place.
    #[error(
        "split.column: `{0}` is a timestamp without a zone: declare its zone on the source, such as `timestamp[America/New_York]`"
    )]
    Naive(String),
    /// A zone is not in the IANA database.
    #[error("`{0}` is not an IANA time zone: write one such as America/New_York")]
    Zone(String),
    /// Shares are not shares.
    #[error("split: the shares of train, validation and test must each be above 0 and add up to 1, not {0:?}")]
    Shares([f64; 3]),
    /// A day is not a day, or they are out of order.
    #[error("split: {0}")]
    Day(String),
    /// The method is missing what it needs.
    #[error("split.column: a {0} split needs a column")]
    NeedsColumn(&'static str),
    /// A split came out empty.
    #[error("the {part} split has no rows: {hint}")]
    Empty {
        /// Which.
        part: &'static str,
        /// What to change.
        hint: String,
    },
}
