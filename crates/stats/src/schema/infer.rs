//! A schema from what a table looks like.

use gristmill_types::ColumnType;

use super::{Bounds, ColumnSchema, Schema};
use crate::profile::{ColumnProfile, Profile, Scalar};

/// How closely a schema follows the table it is inferred from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InferOptions {
    /// Most values that a domain of text lists; a column with more has none.
    pub domain: usize,
    /// Least rows per listed value: text that hardly repeats is no category.
    pub rows_per_value: f64,
    /// How far numbers may leave the range seen, as a share of its width. A range that starts at or above 0
    /// never reaches below, and one inside 0 to 1 stays there.
    pub range_slack: f64,
    /// A column with missing values may miss this factor of the share seen …
    pub missing_factor: f64,
    /// … and this much more.
    pub missing_slack: f64,
}

impl Default for InferOptions {
    fn default() -> Self {
        Self { domain: 100, rows_per_value: 10.0, range_slack: 0.5, missing_factor: 2.0, missing_slack: 0.01 }
    }
}

/// Infers a schema; the number of rows stays open, as the next table has another.
pub fn infer(profile: &Profile, options: &InferOptions) -> Schema {
    let columns = profile.columns.iter().map(|column| infer_column(column, options)).collect();
    Schema { version: 1, columns, rows: Bounds::default(), allow_new_columns: false }
}

fn infer_column(column: &ColumnProfile, options: &InferOptions) -> ColumnSchema {
    let missing = column.missing_share();
    let (min, max) = range(column, options).unzip();
    ColumnSchema {
        name: column.name.clone(),
        column_type: column.column_type.clone(),
        required: true,
        min_present: if column.count > 0 && missing == 0.0 {
            1.0
        } else {
            (1.0 - missing * options.missing_factor - options.missing_slack).max(0.0)
        },
        domain: domain(column, options),
        min,
        max,
        allow_nan: column.nan > 0,
        allow_infinite: column.infinite > 0,
        distinct: Bounds::default(),
    }
}

/// The values of a text column, if the profile names all of them.
fn domain(column: &ColumnProfile, options: &InferOptions) -> Option<Vec<String>> {
    let repeats = column.count as f64 >= column.distinct as f64 * options.rows_per_value;
    let listed = column.top.len() as u64 == column.distinct && column.top.len() <= options.domain;
    if column.column_type != ColumnType::Text || column.count == 0 || !repeats || !listed {
        return None;
    }
    let mut values: Vec<String> = column.top.iter().map(|top| top.value.to_string()).collect();
    values.sort_unstable();
    Some(values)
}

fn range(column: &ColumnProfile, options: &InferOptions) -> Option<(f64, f64)> {
    if !column.column_type.is_numeric() || column.infinite > 0 {
        return None;
    }
    let (low, high) = (column.min.as_ref().and_then(Scalar::as_f64)?, column.max.as_ref().and_then(Scalar::as_f64)?);
    let slack = (high - low) * options.range_slack;
    let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
    let ceiling = if low >= 0.0 && high <= 1.0 { 1.0 } else { f64::INFINITY };
    let range = ((low - slack).max(floor), (high + slack).min(ceiling));
    (range.0.is_finite() && range.1.is_finite()).then_some(range)
}
