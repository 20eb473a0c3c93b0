//! The table so far: its columns, and beside them what each row was known by and came from.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_types::{Column as PlainColumn, Values};
use polars::prelude::{
    Column, DataFrame, IdxCa, Int64Chunked, IntoColumn as _, IntoSeries as _, NewChunkedArray as _, PlSmallStr,
};

use crate::{Availability, Error};

/// Where a column's values came from: an occurrence of a source (`weather`, `weather#2`) and a column.
pub(crate) type Origin = (String, String);

/// Hidden column: the moment of prediction.
const KNOWN_AT: &str = "known_at";
/// Hidden column: the row's name.
const ROW_KEY: &str = "row_key";

/// A source in memory.
pub(crate) struct Loaded {
    pub rows: DataFrame,
    pub available: Option<Availability>,
    /// When each row became available, if the source says so by a column.
    pub times: Option<Vec<Option<i64>>>,
}

/// The table so far.
#[derive(Clone)]
pub(crate) struct Table {
    /// Its columns.
    pub rows: DataFrame,
    /// One row per row: `row_key`, `known_at`, and `at:<occurrence>` for sources with times.
    hidden: DataFrame,
    /// By column.
    pub origins: BTreeMap<String, BTreeSet<Origin>>,
    /// Occurrences of sources whose times were lost in an aggregation, by what lost them.
    pub lost: BTreeMap<String, String>,
    /// Number of occurrences of each source so far.
    occurrences: BTreeMap<String, usize>,
}

fn hidden_column(name: &str, values: impl IntoIterator<Item = Option<i64>>) -> Column {
    Int64Chunked::from_iter_options(PlSmallStr::from_str(name), values.into_iter()).into_series().into_column()
}

impl Table {
    /// A source's rows as they are.
    pub fn of(source: &str, rows: DataFrame) -> Self {
        let origins = rows
            .columns()
            .iter()
            .map(|column| {
                let name = column.name().to_string();
                (name.clone(), BTreeSet::from([(source.to_owned(), name)]))
            })
            .collect();
        Self {
            hidden: DataFrame::empty_with_height(rows.height()),
            rows,
            origins,
            lost: BTreeMap::new(),
            occurrences: BTreeMap::from([(source.to_owned(), 1)]),
        }
    }

    /// Names an occurrence of a source: its name, then `name#2` and so on.
    pub fn occurrence(&mut self, source: &str) -> String {
        let count = self.occurrences.entry(source.to_owned()).or_insert(0);
        *count += 1;
        if *count == 1 { source.to_owned() } else { format!("{source}#{count}") }
    }

    fn set(&mut self, name: &str, values: impl IntoIterator<Item = Option<i64>>) -> Result<(), Error> {
        self.hidden.with_column(hidden_column(name, values))?;
        Ok(())
    }

    fn get(&self, name: &str) -> Option<Vec<Option<i64>>> {
        Some(self.hidden.column(name).ok()?.as_materialized_series().i64().ok()?.iter().collect())
    }

    pub fn set_keys(&mut self, keys: Vec<i64>) -> Result<(), Error> {
        self.set(ROW_KEY, keys.into_iter().map(Some))
    }

    /// Row names, if they were given before and every row came from the base.
    pub fn keys(&self) -> Option<Vec<i64>> {
        self.get(ROW_KEY)?.into_iter().collect()
    }

    pub fn set_known_at(&mut self, times: Vec<Option<i64>>) -> Result<(), Error> {
        self.set(KNOWN_AT, times)
    }

    pub fn known_at(&self) -> Option<Vec<Option<i64>>> {
        self.get(KNOWN_AT)
    }

    /// When the rows of an occurrence of a source became available.
    pub fn set_times(&mut self, occurrence: &str, times: impl IntoIterator<Item = Option<i64>>) -> Result<(), Error> {
        self.set(&format!("at:{occurrence}"), times)
    }

    pub fn times(&self, occurrence: &str) -> Option<Vec<Option<i64>>> {
        self.get(&format!("at:{occurrence}"))
    }

    /// The same hidden columns under other rows: `rows[i]` is the row that row i was.
    pub fn carry(&self, rows: DataFrame, from: &IdxCa) -> Result<Self, Error> {
        Ok(Self { hidden: self.hidden.take(from)?, rows, ..self.clone() })
    }

    /// Keeps of the hidden columns only the rows `keep`; what stands beside them no longer fits and is to be taken
    /// row by row.
    pub fn keep_hidden(&mut self, keep: &IdxCa) -> Result<(), Error> {
        self.hidden = self.hidden.take(keep)?;
        Ok(())
    }

    /// A table of which nothing is known but its rows and what they were made from.
    pub fn derived(&self, rows: DataFrame) -> Self {
        Self { hidden: DataFrame::empty_with_height(rows.height()), rows, ..self.clone() }
    }
}

/// Microseconds of a timestamp column.
pub(crate) fn micros(column: &PlainColumn) -> Option<Vec<Option<i64>>> {
    match &column.values {
        Values::Timestamp { zone: Some(_), micros } => {
            Some(micros.iter().enumerate().map(|(row, time)| column.is_valid(row).then_some(*time)).collect())
        }
        _ => None,
    }
}
