//! The columns of the dataset, each checked against the moment of prediction.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use gristmill_types::{Column, ColumnType, Field, Values};
use polars::prelude::{DataFrame, IdxCa};

use super::Run;
use crate::report::ColumnReport;
use crate::row_key::{row_keys, tell_apart};
use crate::{Availability, Error};

/// Reserved column: the row's name.
pub const ROW_KEY: &str = "_row_key";
/// Reserved column: the row's unit of dependence.
pub const UNIT: &str = "_unit";

/// The dataset, ready to be written.
pub(super) struct Selected {
    /// The columns as the steps left them, all rows.
    visible: DataFrame,
    /// Which rows of `visible` to write; all if none.
    keep: Option<IdxCa>,
    /// Reserved columns, of the written rows.
    reserved: Vec<Column>,
    /// Rows to write.
    pub height: usize,
    /// The account of all columns, the reserved last.
    pub columns: Vec<ColumnReport>,
    /// Rows whose key repeats.
    pub repeated_keys: u64,
}

impl Selected {
    /// Writes the dataset's bytes.
    pub fn write(&self, to: impl Write) -> Result<u64, Error> {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|column| Field { name: column.name.clone(), column_type: column.column_type.clone() })
            .collect();
        let visible = self.visible.columns();
        let make = |at: usize| match (visible.get(at), &self.keep) {
            (Some(column), Some(keep)) => Ok(column.take(keep)?),
            (Some(column), None) => Ok(column.clone()),
            (None, _) => match self.reserved.get(at - visible.len()) {
                Some(column) => Ok(crate::convert::from_column(column)?),
                None => Err(Error::engine("a column was lost")),
            },
        };
        crate::parquet::write_made(&fields, self.height, make, to)
    }
}

impl Run<'_> {
    /// The dataset's rows and the account of its columns.
    pub(super) fn select(&self) -> Result<Selected, Error> {
        let names = self.chosen()?;
        let visible = self.table.rows.select(names.iter().map(String::as_str))?;
        crate::read::refuse_naive(&visible, "dataset")?;
        let after = self.known_after(&names)?;
        self.check_available(&names, &after)?;
        let mut columns = Vec::with_capacity(names.len());
        for field in super::fields(&visible) {
            let origins = self.table.origins.get(&field.name);
            columns.push(ColumnReport {
                known_after: after.contains(&field.name),
                from: origins
                    .into_iter()
                    .flatten()
                    .map(|(source, column)| format!("{}.{column}", source_of(source)))
                    .collect(),
                name: field.name,
                column_type: field.column_type,
            });
        }
        let (keys, repeated_keys) = self.keys(&visible)?;
        let height = keys.len();
        let mut reserved = vec![Column::new(ROW_KEY, Values::Int(keys))];
        reserved.extend(self.unit()?);
        columns.extend(reserved.iter().map(|column| ColumnReport {
            name: column.name.clone(),
            column_type: column.column_type(),
            known_after: false,
            from: Vec::new(),
        }));
        Ok(Selected { visible, keep: self.keep.clone(), reserved, height, columns, repeated_keys })
    }

    /// The population's rows of some columns.
    fn kept(&self, rows: &DataFrame) -> Result<DataFrame, Error> {
        Ok(match &self.keep {
            Some(keep) => rows.take(keep)?,
            None => rows.clone(),
        })
    }

    fn chosen(&self) -> Result<Vec<String>, Error> {
        let all: Vec<String> = self.table.rows.columns().iter().map(|c| c.name().to_string()).collect();
        let listed = &self.integration.columns;
        for (index, name) in listed.iter().enumerate() {
            if !all.contains(name) {
                let field = format!("integration.columns[{index}]");
                if let Some((source, column_type)) = self.left_out(name) {
                    return Err(Error::SourceColumn {
                        source_name: source,
                        column: name.clone(),
                        problem: format!(
                            "type {column_type} is none that a dataset holds: store it as numbers or text"
                        ),
                    });
                }
                return Err(Error::unknown_column(field, name, all.iter().map(String::as_str)));
            }
        }
        Ok(if listed.is_empty() { all } else { listed.clone() })
    }

    fn left_out(&self, name: &str) -> Option<(String, String)> {
        self.sources.iter().find_map(|source| {
            let (_, column_type) = source.left_out.iter().find(|(left_out, _)| left_out == name)?;
            Some((source.name.clone(), column_type.clone()))
        })
    }

    /// Columns that are only known after the moment of prediction, or made from such.
    fn known_after(&self, names: &[String]) -> Result<BTreeSet<String>, Error> {
        let declared = &self.integration.known_after;
        for (index, name) in declared.iter().enumerate() {
            if self.base.rows.column(name).is_err() && !names.contains(name) {
                let known = self.base.rows.columns().iter().map(|c| c.name().as_str());
                return Err(Error::unknown_column(format!("integration.known_after[{index}]"), name, known));
            }
        }
        let is_after = |name: &&String| {
            declared.contains(name)
                || self
                    .table
                    .origins
                    .get(*name)
                    .into_iter()
                    .flatten()
                    .any(|(source, column)| source_of(source) == self.integration.base && declared.contains(column))
        };
        Ok(names.iter().filter(is_after).cloned().collect())
    }

    /// Refuses, by name, a column that was not available at the moment of prediction.
    fn check_available(&self, names: &[String], after: &BTreeSet<String>) -> Result<(), Error> {
        let Some(known_at) = self.table.known_at() else { return Ok(()) };
        let mut verdicts: BTreeMap<&str, Option<String>> = BTreeMap::new();
        for name in names.iter().filter(|name| !after.contains(*name)) {
            for (occurrence, _) in self.table.origins.get(name).into_iter().flatten() {
                let verdict = verdicts.entry(occurrence).or_insert_with(|| self.unavailable(occurrence, &known_at));
                if let Some(why) = verdict {
                    return Err(Error::NotAvailable {
                        column: name.clone(),
                        origin: source_of(occurrence).to_owned(),
                        why: why.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Why an occurrence of a source was not available at the moment of prediction, if it was not.
    fn unavailable(&self, occurrence: &str, known_at: &[Option<i64>]) -> Option<String> {
        let source = source_of(occurrence);
        if occurrence == self.integration.base {
            return None;
        }
        if let Some(field) = self.table.lost.get(occurrence) {
            return Some(format!("reaches the rows through {field}, where its times of availability are lost"));
        }
        match self.loaded.get(source).and_then(|loaded| loaded.available.as_ref()) {
            Some(Availability::Static) => None,
            None => self
                .times_of(source)
                .map(|column| format!("has times (`{column}`) but does not declare when its rows are available")),
            Some(Availability::At { column, .. }) => {
                let times = self.table.times(occurrence)?;
                let late = |(time, known): (&Option<i64>, &Option<i64>)| {
                    time.zip(*known).map(|(time, known)| time - known).filter(|late| *late > 0)
                };
                let (mut rows, mut worst) = (0_u64, 0_i64);
                for by in times.iter().zip(known_at).filter_map(late) {
                    rows += 1;
                    worst = worst.max(by);
                }
                (rows > 0).then(|| {
                    format!(
                        "by `{column}` is not available at the moment of prediction in {rows} of {} rows (by up to {} s)",
                        known_at.len(),
                        worst.div_euclid(1_000_000).max(1)
                    )
                })
            }
        }
    }

    /// A column of a source that tells time. A source without one is taken as reference data.
    fn times_of(&self, source: &str) -> Option<String> {
        let source = self.sources.iter().find(|known| known.name == source)?;
        let tells_time = |field: &&Field| matches!(field.column_type, ColumnType::Timestamp { .. } | ColumnType::Date);
        source.columns.iter().find(tells_time).map(|field| field.name.clone())
    }

    /// Names of the rows.
    fn keys(&self, rows: &DataFrame) -> Result<(Vec<i64>, u64), Error> {
        if let Some(keys) = self.table.keys() {
            return Ok((tell_apart(keys), self.repeated_keys));
        }
        let key = &self.integration.key;
        let columns = if key.is_empty() {
            crate::convert::to_columns(&self.kept(rows)?)?
        } else {
            let known: Vec<&str> = self.table.rows.columns().iter().map(|c| c.name().as_str()).collect();
            if let Some(missing) = key.iter().find(|name| !known.contains(&name.as_str())) {
                return Err(Error::unknown_column("integration.key", missing, known));
            }
            crate::convert::to_columns(&self.kept(&self.table.rows.select(key.iter().map(String::as_str))?)?)?
        };
        Ok(row_keys(&columns))
    }

    /// The unit of dependence of each row, as text.
    fn unit(&self) -> Result<Option<Column>, Error> {
        let Some(unit) = &self.integration.unit else { return Ok(None) };
        let field = "integration.unit";
        let mut column = self.evaluate(field, unit)?;
        if let Some(keep) = &self.keep {
            column = column.take(&keep.iter().flatten().map(|row| row as usize).collect::<Vec<_>>());
        }
        if column.null_count() > 0 {
            return Err(Error::spec(
                field,
                format!("is null in {} of {} rows: every row needs a unit", column.null_count(), column.len()),
            ));
        }
        if matches!(column.column_type(), ColumnType::Float) {
            return Err(Error::spec(field, "gives floats: a unit is a day, an id or another value that repeats"));
        }
        let mut texts = Vec::with_capacity(column.len());
        for row in 0..column.len() {
            let mut text = String::new();
            crate::csv::write::put_cell(&mut text, &column, row);
            texts.push(text);
        }
        Ok(Some(Column::text(UNIT, texts.iter().map(|text| Some(text.as_str())))))
    }
}

fn source_of(occurrence: &str) -> &str {
    occurrence.split_once('#').map_or(occurrence, |(source, _)| source)
}
