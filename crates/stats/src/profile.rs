//! Profiles of datasets: statistics of every column.
//!
//! A table is in memory when it is profiled, and a column is counted on one sorted copy of itself, so
//! every figure here is exact (distinct values too) and the scratch memory is one column per thread.

mod correlation;
mod count;
mod number;
mod scalar;
mod time;

use gristmill_types::{Column, ColumnType, Columns, Values};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use correlation::Correlation;
pub(crate) use correlation::numbers;
pub(crate) use number::quantile;
pub use scalar::Scalar;
use time::{date_text, timestamp_text};

/// How much a profile holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileOptions {
    /// Most frequent values kept of each column …
    pub top: usize,
    /// … except that all values of a text column with at most this many are kept, so that a schema can list them.
    pub categories: usize,
    /// Bins of each histogram.
    pub bins: usize,
    /// Columns left out of the correlations: the target, so that a profile of all rows tells nothing about it.
    pub uncorrelated: Vec<String>,
    /// Numeric columns correlated at most; the first ones of the table.
    pub correlated: usize,
}

impl Default for ProfileOptions {
    fn default() -> Self {
        Self { top: 10, categories: 100, bins: 20, uncorrelated: Vec::new(), correlated: 50 }
    }
}

/// The statistics of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Rows of the table.
    pub rows: u64,
    /// Its columns in order, the reserved ones (`_…`) left out.
    pub columns: Vec<ColumnProfile>,
    /// Pearson correlations of the numeric columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlation>,
}

/// The statistics of one column. Moments and quantiles are of the finite values; what has no meaning for
/// the type is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Name.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Rows with a value (NaN is one).
    pub count: u64,
    /// Rows without.
    pub missing: u64,
    /// Different values, NaN not counted. Exact.
    pub distinct: u64,
    /// Smallest value, infinities included; dates and moments as ISO 8601 text.
    #[serde(default)]
    pub min: Option<Scalar>,
    /// Largest value.
    #[serde(default)]
    pub max: Option<Scalar>,
    /// Mean; of truth values the share of `true`.
    #[serde(default)]
    pub mean: Option<f64>,
    /// Standard deviation with n − 1 below the line.
    #[serde(default)]
    pub std: Option<f64>,
    /// Quantiles, linear between order statistics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<Quantiles>,
    /// Values equal to zero.
    #[serde(default)]
    pub zeros: u64,
    /// Values below zero.
    #[serde(default)]
    pub negative: u64,
    /// Values that are not a number.
    #[serde(default)]
    pub nan: u64,
    /// Infinite values.
    #[serde(default)]
    pub infinite: u64,
    /// Lengths of text in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<TextLength>,
    /// Most frequent values: by falling count, then rising value.
    #[serde(default)]
    pub top: Vec<ValueCount>,
    /// Counts in bins of equal width; of dates in days, of moments in microseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
    /// What deserves a look.
    #[serde(default)]
    pub warnings: Vec<ColumnWarning>,
}

/// Quantiles by Hyndman and Fan's (1996) definition 7, the default of NumPy and pandas.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is the quantile in its name, in percent")]
pub struct Quantiles {
    pub p01: f64,
    pub p05: f64,
    pub p25: f64,
    pub p50: f64,
    pub p75: f64,
    pub p95: f64,
    pub p99: f64,
}

/// Lengths of text in characters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TextLength {
    /// Shortest.
    pub min: u64,
    /// Mean over rows.
    pub mean: f64,
    /// Longest.
    pub max: u64,
}

/// A value and how often it occurs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValueCount {
    /// Value.
    pub value: Scalar,
    /// Rows.
    pub count: u64,
}

/// Counts per bin: bin i is `edges[i] <= v < edges[i + 1]`, the last one closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// One more than bins, rising.
    pub edges: Vec<f64>,
    /// Rows per bin.
    pub counts: Vec<u64>,
}

/// What deserves a look in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnWarning {
    /// No row has a value.
    Empty,
    /// One value only.
    Constant,
    /// Text or whole numbers of which over 95 % are different: a name of the row, not a property.
    NearUnique,
    /// Over half of the rows have no value.
    HighMissing,
    /// More categories than a vocabulary keeps.
    ManyCategories,
    /// Over 90 % of the values are zero.
    MostlyZero,
    /// Some values are not numbers.
    NanPresent,
    /// Some values are infinite.
    InfinitePresent,
}

impl ColumnWarning {
    /// A few words for a reader.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Empty => "no values",
            Self::Constant => "one value only",
            Self::NearUnique => "almost every value is different",
            Self::HighMissing => "more than half missing",
            Self::ManyCategories => "very many categories",
            Self::MostlyZero => "mostly zero",
            Self::NanPresent => "contains NaN",
            Self::InfinitePresent => "contains infinities",
        }
    }
}

impl Profile {
    /// The profile of column `name`.
    pub fn get(&self, name: &str) -> Option<&ColumnProfile> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl ColumnProfile {
    /// Share of rows without a value; 0 of no rows.
    pub fn missing_share(&self) -> f64 {
        let rows = self.count + self.missing;
        if rows == 0 { 0.0 } else { self.missing as f64 / rows as f64 }
    }

    fn empty(column: &Column) -> Self {
        let missing = column.null_count() as u64;
        Self {
            name: column.name.clone(),
            column_type: column.column_type(),
            count: column.len() as u64 - missing,
            missing,
            distinct: 0,
            min: None,
            max: None,
            mean: None,
            std: None,
            quantiles: None,
            zeros: 0,
            negative: 0,
            nan: 0,
            infinite: 0,
            length: None,
            top: Vec::new(),
            histogram: None,
            warnings: Vec::new(),
        }
    }

    fn warn(&mut self) {
        let share = |part: u64| if self.count == 0 { 0.0 } else { part as f64 / self.count as f64 };
        let names_rows = matches!(self.column_type, ColumnType::Int | ColumnType::Text);
        let checks = [
            (ColumnWarning::Empty, self.count == 0),
            (ColumnWarning::Constant, self.distinct == 1 && self.nan == 0),
            (ColumnWarning::NearUnique, names_rows && self.count >= 50 && share(self.distinct) > 0.95),
            (ColumnWarning::HighMissing, self.count > 0 && self.missing_share() > 0.5),
            (
                ColumnWarning::ManyCategories,
                self.column_type == ColumnType::Text
                    && self.distinct > gristmill_types::Limits::DEFAULT.categories as u64
                    && share(self.distinct) <= 0.95,
            ),
            (ColumnWarning::MostlyZero, self.column_type.is_numeric() && self.distinct > 1 && share(self.zeros) > 0.9),
            (ColumnWarning::NanPresent, self.nan > 0),
            (ColumnWarning::InfinitePresent, self.infinite > 0),
        ];
        self.warnings = checks.into_iter().filter_map(|(warning, holds)| holds.then_some(warning)).collect();
    }
}

/// Profiles every column of `table` that is not reserved (`_…`), columns in parallel; the result does not
/// depend on the number of threads.
pub fn profile(table: &Columns, options: &ProfileOptions) -> Profile {
    let shown: Vec<&Column> = table.columns().iter().filter(|column| !column.name.starts_with('_')).collect();
    let columns = shown.par_iter().map(|column| profile_column(column, options)).collect();
    let correlated: Vec<&Column> = shown
        .into_iter()
        .filter(|column| column.column_type().is_numeric() && !options.uncorrelated.contains(&column.name))
        .take(options.correlated)
        .collect();
    Profile { rows: table.rows() as u64, columns, correlation: correlation::correlate(&correlated) }
}

/// Profiles one column.
pub fn profile_column(column: &Column, options: &ProfileOptions) -> ColumnProfile {
    let mut result = ColumnProfile::empty(column);
    match &column.values {
        Values::Bool(values) => count::bools(&mut result, column, values),
        Values::Text(text) => count::text(&mut result, column, text, options),
        Values::Int(values) => {
            let sorted = count::sorted_ints(column, values);
            count::runs(&mut result, &sorted, options.top, |v| Scalar::Int(*v));
            let numbers: Vec<f64> = sorted.iter().map(|v| *v as f64).collect();
            number::describe(&mut result, &numbers, options.bins);
        }
        Values::Float(values) => {
            let numbers = number::floats(&mut result, column, values);
            count::runs(&mut result, &numbers, options.top, |v| Scalar::Float(*v));
            number::describe(&mut result, number::finite(&numbers), options.bins);
        }
        Values::Decimal { scale, unscaled } => {
            let sorted = count::sorted(column, unscaled);
            count::runs(&mut result, &sorted, options.top, |v| Scalar::Float(number::decimal(*v, *scale)));
            let numbers: Vec<f64> = sorted.iter().map(|v| number::decimal(*v, *scale)).collect();
            number::describe(&mut result, &numbers, options.bins);
        }
        Values::Date(days) => {
            let sorted = count::sorted(column, days);
            count::runs(&mut result, &sorted, options.top, |v| Scalar::Text(date_text(i64::from(*v))));
            let numbers: Vec<f64> = sorted.iter().map(|v| f64::from(*v)).collect();
            result.histogram = number::histogram(&numbers, options.bins);
        }
        Values::Timestamp { zone, micros } => {
            let sorted = count::sorted(column, micros);
            count::runs(&mut result, &sorted, options.top, |v| Scalar::Text(timestamp_text(*v, zone.is_some())));
            let numbers: Vec<f64> = sorted.iter().map(|v| *v as f64).collect();
            result.histogram = number::histogram(&numbers, options.bins);
        }
    }
    result.warn();
    result
}
