//! One integration from files to rows; runs in the child process.

mod select;
pub use select::{ROW_KEY, UNIT};
mod steps;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use gristmill_types::Field;
use polars::prelude::{DataFrame, IdxCa, IdxSize, PlSmallStr};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::join::JoinReport;
use crate::read::Source;
use crate::report::{Report, SourceReport};
use crate::row_key::row_keys;
use crate::sql::check::{Tables, check_expression, check_query};
use crate::table::{Loaded, Table, micros};
use crate::{Availability, Bounds, Error, INPUT, Integration, SourceSpec};

/// A source and where its spooled file lies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceFile {
    /// How to read it.
    pub spec: SourceSpec,
    /// A local file.
    pub path: PathBuf,
}

/// Everything an integration needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Sources by name.
    pub sources: BTreeMap<String, SourceFile>,
    /// What to do with them.
    pub integration: Integration,
    /// What it may use.
    pub bounds: Bounds,
    /// Where the rows go, as Parquet.
    pub output: PathBuf,
}

impl Job {
    /// Checks everything that can be checked without reading.
    ///
    /// # Errors
    /// As [`Integration::check`].
    pub fn check(&self) -> Result<(), Error> {
        let specs = self.sources.iter().map(|(name, source)| (name.clone(), source.spec.clone())).collect();
        self.integration.check(&specs, &self.bounds)
    }
}

/// Runs `job`; `progress` is told what is being done.
pub(crate) fn run(job: &Job, progress: &(dyn Fn(&str) + Sync)) -> Result<Report, Error> {
    job.check()?;
    let mut run = Run::load(job, progress)?;
    for (index, step) in job.integration.steps.iter().enumerate() {
        progress(&format!("step {}", index + 1));
        run.step(&format!("integration.steps[{index}]"), step)?;
    }
    run.filter()?;
    progress("writing");
    let selected = run.select()?;
    let file = File::create(&job.output).map_err(Error::write)?;
    selected.write(BufWriter::new(&file))?;
    file.sync_all().map_err(Error::write)?;
    let (columns, repeated_keys) = (selected.columns, selected.repeated_keys);
    Ok(Report {
        rows: selected.height as u64,
        known_after: columns.iter().filter(|c| c.known_after).map(|c| c.name.clone()).collect(),
        columns,
        sources: run.sources,
        joins: run.joins,
        population_rows: run.population.0,
        filtered_rows: run.population.1,
        filter: run.population.2,
        known_at: run.known_at,
        repeated_keys,
        warnings: run.warnings,
    })
}

/// An integration under way.
struct Run<'j> {
    integration: &'j Integration,
    bounds: &'j Bounds,
    loaded: BTreeMap<String, Loaded>,
    /// The base before any step.
    base: Table,
    table: Table,
    /// Rows of the table that are the population; all if none. Set when the steps are done.
    keep: Option<IdxCa>,
    sources: Vec<SourceReport>,
    joins: Vec<JoinReport>,
    /// Rows before the filter, rows excluded, and the filter.
    population: (u64, u64, Option<String>),
    known_at: Option<String>,
    repeated_keys: u64,
    warnings: Vec<String>,
}

impl<'j> Run<'j> {
    fn load(job: &'j Job, progress: &(dyn Fn(&str) + Sync)) -> Result<Self, Error> {
        let mut loaded = BTreeMap::new();
        let mut sources = Vec::new();
        let wanted: Vec<(&String, &SourceFile)> = job.sources.iter().collect();
        let read = |(name, source): &(&String, &SourceFile)| {
            progress(&format!("reading {name}"));
            let read = crate::read::read_source(&source.path, name, &source.spec, &job.bounds)?;
            crate::read::refuse_naive(&read.rows, name)?;
            Ok(read)
        };
        // Side by side; of several problems the first source's is told, at any number of threads.
        let all: Vec<Result<Source, Error>> = wanted.par_iter().map(read).collect();
        for ((name, source), read) in wanted.into_iter().zip(all) {
            let read = read?;
            sources.push(SourceReport {
                name: name.clone(),
                rows: read.rows.height() as u64,
                columns: fields(&read.rows),
                left_out: read.left_out,
            });
            let times = times(name, &read.rows, source.spec.available.as_ref())?;
            loaded.insert(name.clone(), Loaded { rows: read.rows, available: source.spec.available.clone(), times });
        }
        let integration = &job.integration;
        let rows = loaded.get(&integration.base).map(|base| base.rows.clone()).ok_or_else(|| {
            Error::unknown_table("integration.base", &integration.base, loaded.keys().map(String::as_str))
        })?;
        let base = Table::of(&integration.base, rows);
        let mut run = Self {
            integration,
            bounds: &job.bounds,
            loaded,
            table: base.clone(),
            base,
            keep: None,
            sources,
            joins: Vec::new(),
            population: (0, 0, None),
            known_at: None,
            repeated_keys: 0,
            warnings: Vec::new(),
        };
        run.name_rows()?;
        run.time_rows()?;
        run.base = run.table.clone();
        Ok(run)
    }

    /// Gives the base's rows their keys, if the key columns are the base's.
    fn name_rows(&mut self) -> Result<(), Error> {
        let key = &self.integration.key;
        if key.iter().any(|name| self.table.rows.column(name).is_err()) {
            return Ok(());
        }
        let columns = crate::convert::to_columns(&self.table.rows)?;
        let columns = if key.is_empty() { columns } else { columns.select(key) };
        let (keys, repeated) = row_keys(&columns);
        self.repeated_keys = repeated;
        self.table.set_keys(keys)
    }

    /// Computes the moment of prediction of each row of the base.
    fn time_rows(&mut self) -> Result<(), Error> {
        let Some(expression) = &self.integration.known_at else { return Ok(()) };
        let field = "integration.known_at";
        self.known_at = Some(check_expression(field, expression, self.bounds)?.to_string());
        let column = self.evaluate(field, expression)?;
        let Some(times) = micros(&column) else {
            return Err(Error::spec(
                field,
                format!(
                    "gives a {}, not a timestamp with a zone: make it from a timestamp column, as in `time - INTERVAL '2 hours'`",
                    column.column_type()
                ),
            ));
        };
        let nulls = times.iter().filter(|time| time.is_none()).count();
        if nulls > 0 {
            return Err(Error::spec(
                field,
                format!(
                    "is null in {nulls} of {} rows: those rows have no moment of prediction; use columns without nulls",
                    times.len()
                ),
            ));
        }
        self.table.set_known_at(times)
    }

    /// One value per row of the table so far.
    fn evaluate(&self, field: &str, expression: &str) -> Result<gristmill_types::Column, Error> {
        let rows = self.derive(field, &[("value", expression)])?;
        let column = rows.columns().first().ok_or_else(|| Error::engine("an expression gave no column"))?;
        crate::convert::to_column(column)
    }

    /// Several named expressions over the table so far.
    fn derive(&self, field: &str, columns: &[(&str, &str)]) -> Result<DataFrame, Error> {
        let mut projection = Vec::new();
        for (name, expression) in columns {
            let parsed = check_expression(field, expression, self.bounds)?;
            projection.push(format!("({parsed}) AS \"{name}\""));
        }
        let sql = format!("SELECT {} FROM {INPUT}", projection.join(", "));
        let wide = Bounds { sql_bytes: usize::MAX, ..*self.bounds };
        let checked = check_query(field, &sql, &Tables::new([INPUT]), &wide)?;
        let tables = BTreeMap::from([(INPUT, &self.table.rows)]);
        let answer = crate::sql::run::run(field, &checked, &tables, self.bounds)?;
        if answer.rows.height() != self.table.rows.height() {
            return Err(Error::spec(field, "must give one value per row"));
        }
        Ok(answer.rows)
    }

    /// Marks the population and counts the rest. The columns are cut down one by one when they are written.
    fn filter(&mut self) -> Result<(), Error> {
        let before = self.table.rows.height() as u64;
        self.population = (before, 0, None);
        let Some(filter) = &self.integration.filter else { return Ok(()) };
        let field = "integration.filter";
        let understood = check_expression(field, filter, self.bounds)?.to_string();
        let column = self.evaluate(field, filter)?;
        let gristmill_types::Values::Bool(values) = &column.values else {
            return Err(Error::spec(
                field,
                format!("gives a {}, not true or false: write a comparison", column.column_type()),
            ));
        };
        let keep: Vec<IdxSize> =
            (0..).zip(values).filter(|(row, v)| **v && column.is_valid(*row as usize)).map(|(row, _)| row).collect();
        if keep.is_empty() {
            return Err(Error::spec(field, format!("excludes all {before} rows: no population is left")));
        }
        self.population = (before, before - keep.len() as u64, Some(understood));
        let keep = IdxCa::from_vec(PlSmallStr::EMPTY, keep);
        self.table.keep_hidden(&keep)?;
        self.keep = Some(keep);
        Ok(())
    }
}

/// When each row of a source became available.
fn times(name: &str, rows: &DataFrame, available: Option<&Availability>) -> Result<Option<Vec<Option<i64>>>, Error> {
    let Some(Availability::At { column, delay_seconds }) = available else { return Ok(None) };
    let field = format!("sources.{name}.available.column");
    let Ok(found) = rows.column(column) else {
        return Err(Error::unknown_column(field, column, rows.columns().iter().map(|c| c.name().as_str())));
    };
    let plain = crate::convert::to_column(found)?;
    let Some(times) = micros(&plain) else {
        return Err(Error::spec(
            field,
            format!(
                "column `{column}` is {}, not a timestamp with a zone: declare it as timestamp[Area/City] under `columns`",
                plain.column_type()
            ),
        ));
    };
    let delay = delay_seconds.saturating_mul(1_000_000);
    Ok(Some(times.into_iter().map(|time| time.map(|time| time.saturating_add(delay))).collect()))
}

/// Names and types of canonical columns.
pub(crate) fn fields(rows: &DataFrame) -> Vec<Field> {
    rows.columns()
        .iter()
        .filter_map(|column| {
            let column_type = crate::convert::column_type(column.dtype())?;
            Some(Field { name: column.name().to_string(), column_type })
        })
        .collect()
}
