//! Joins whose every row is accounted for.

pub(crate) mod asof;
pub(crate) mod equal;
pub(crate) mod keys;

use polars::prelude::IdxSize;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::integration::MIN_MATCHED;

/// What a join did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JoinReport {
    /// The joined source, or `sql` for a query.
    pub source: String,
    /// `join`, `as_of` or `sql`.
    pub kind: String,
    /// Rows before.
    pub rows_in: u64,
    /// Rows that found at least one partner (of a query: rows that are still there).
    pub matched: u64,
    /// Rows that found none.
    pub unmatched: u64,
    /// Of the unmatched: rows with a null in their key.
    pub null_keys: u64,
    /// Of the unmatched: rows whose key exists, but with no row available in time.
    pub not_in_time: u64,
    /// Rows that found several.
    pub multiplied: u64,
    /// Rows after.
    pub rows_out: u64,
}

/// For each row of the result: the row on the left, and the one on the right if there is one.
pub(crate) struct Matches {
    pub left: Vec<IdxSize>,
    pub right: Vec<Option<IdxSize>>,
    pub report: JoinReport,
}

/// Refuses a join that misses too many rows.
pub(crate) fn enough(field: &str, report: &JoinReport, least: Option<f64>) -> Result<(), Error> {
    let least = least.unwrap_or(MIN_MATCHED);
    if report.rows_in == 0 {
        return Ok(());
    }
    let share = report.matched as f64 / report.rows_in as f64;
    if share < least {
        return Err(Error::Misses {
            field: field.to_owned(),
            table: report.source.clone(),
            matched: report.matched,
            rows_in: report.rows_in,
            percent: format!("{:.1} %", share * 100.0),
            least: format!("{:.1} %", least * 100.0),
        });
    }
    Ok(())
}
