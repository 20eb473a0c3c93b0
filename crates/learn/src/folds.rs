//! Which rows may be encoded from which.

use gristmill_stats::random::derive_seed;
use gristmill_types::{Columns, Values};
use rayon::prelude::*;

use crate::LearnError;

/// How training rows are divided for cross-fitted features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folds {
    /// By a hash of the row's key: any other row may inform a row.
    Rows {
        /// Seed of the hash.
        seed: u64,
    },
    /// By a hash of the row's unit: rows of one unit stay together.
    Units {
        /// Seed of the hash.
        seed: u64,
    },
    /// By time: only the past may inform a row.
    Time {
        /// The date or timestamp column.
        column: String,
    },
}

/// Each row's fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assigned {
    /// Fold per row, below `count`.
    pub fold: Vec<usize>,
    pub count: usize,
    /// Whether a fold is encoded from earlier folds only.
    pub forward: bool,
}

impl Folds {
    /// Assigns every row of `table` to one of `count` folds.
    pub(crate) fn assign(
        &self,
        table: &Columns,
        keys: &[i64],
        units: &[u32],
        count: usize,
    ) -> Result<Assigned, LearnError> {
        let count = count.max(2);
        let by_hash = |seed: u64, value: u64| (derive_seed(seed, "folds", value) % count as u64) as usize;
        match self {
            Self::Rows { seed } => {
                let fold = keys.iter().map(|key| by_hash(*seed, key.cast_unsigned())).collect();
                Ok(Assigned { fold, count, forward: false })
            }
            Self::Units { seed } => {
                let fold = units.iter().map(|unit| by_hash(*seed, u64::from(*unit))).collect();
                Ok(Assigned { fold, count, forward: false })
            }
            Self::Time { column } => Ok(Assigned { fold: by_time(table, column, count)?, count, forward: true }),
        }
    }
}

/// Contiguous stretches of about equally many rows; rows of one moment share a fold.
fn by_time(table: &Columns, column: &str, count: usize) -> Result<Vec<usize>, LearnError> {
    let found = table.get(column).ok_or_else(|| LearnError::column(column, "the time column is not in the table"))?;
    let moments: Vec<i64> = match &found.values {
        Values::Timestamp { micros, .. } => micros.clone(),
        Values::Date(days) => days.iter().map(|day| i64::from(*day)).collect(),
        _ => return Err(LearnError::column(column, "a time split needs a date or timestamp")),
    };
    if found.null_count() > 0 {
        return Err(LearnError::column(column, "a row without a time cannot be placed before or after others"));
    }
    let mut order: Vec<u32> = (0..u32::try_from(moments.len()).unwrap_or(u32::MAX)).collect();
    // Ties keep the order of rows; they share a fold, so it shows nowhere.
    order.par_sort_unstable_by_key(|row| (moments[*row as usize], *row));
    let mut fold = vec![0; moments.len()];
    let (mut current, mut last) = (0, None);
    for (place, row) in order.iter().map(|row| *row as usize).enumerate() {
        let due = place * count / moments.len().max(1);
        if due > current && last != Some(moments[row]) {
            current = due;
        }
        fold[row] = current;
        last = Some(moments[row]);
    }
    Ok(fold)
}
