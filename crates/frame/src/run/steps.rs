//! The steps of an integration.

use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::{DataFrame, IdxCa, IdxSize, NewChunkedArray as _, PlSmallStr, UInt32Chunked};

use super::Run;
use crate::integration::{AsOf, Derived, Join, JoinKey, Step};
use crate::join::{JoinReport, Matches};
use crate::sql::check::{Tables, check_query, refused};
use crate::sql::lineage::lineage;
use crate::sql::order::Relation;
use crate::sql::run::Answer;
use crate::table::{Origin, Table};
use crate::{Error, INPUT};

/// A query that keeps fewer than this share of the rows through its join is refused.
const LEAST_KEPT: f64 = 0.5;

impl Run<'_> {
    pub(super) fn step(&mut self, field: &str, step: &Step) -> Result<(), Error> {
        match step {
            Step::Sql(sql) => self.sql(&format!("{field}.sql"), sql),
            Step::Join(join) => self.join(&format!("{field}.join"), join),
            Step::AsOf(join) => self.as_of(&format!("{field}.as_of"), join),
            Step::Derive(columns) => self.derive_step(&format!("{field}.derive"), columns),
        }
    }

    fn derive_step(&mut self, field: &str, columns: &[Derived]) -> Result<(), Error> {
        let expressions: Vec<(&str, &str)> =
            columns.iter().map(|derived| (derived.name.as_str(), derived.expression.as_str())).collect();
        let made = self.derive(field, &expressions)?;
        let tables = BTreeMap::from([(INPUT, names(&self.table.rows))]);
        for (derived, column) in columns.iter().zip(made.columns()) {
            let sql = format!("SELECT ({}) AS \"{}\" FROM {INPUT}", derived.expression, derived.name);
            let checked = check_query(field, &sql, &Tables::new([INPUT]), &self.sql_bounds())?;
            let relation = Relation { alias: INPUT.into(), table: Some(INPUT.into()), visible: true, row: None };
            let traced = lineage(&checked, &[relation], &tables, std::slice::from_ref(&derived.name));
            let origins = traced
                .into_values()
                .flatten()
                .flat_map(|(_, column)| self.table.origins.get(&column).cloned().unwrap_or_default())
                .collect();
            self.table.rows.with_column(column.clone())?;
            self.table.origins.insert(derived.name.clone(), origins);
        }
        Ok(())
    }

    /// Bounds without the limit on the length of SQL, for SQL that we put together.
    fn sql_bounds(&self) -> crate::Bounds {
        crate::Bounds { sql_bytes: usize::MAX, ..*self.bounds }
    }

    fn join(&mut self, field: &str, join: &Join) -> Result<(), Error> {
        let right = self.source(field, &join.source)?;
        let matches = crate::join::equal::equal(field, join, &self.table.rows, &right, self.bounds.rows)?;
        self.take_joined(field, &join.source, &join.on, (&join.columns, &join.prefix), matches)
    }

    fn as_of(&mut self, field: &str, join: &AsOf) -> Result<(), Error> {
        let right = self.source(field, &join.source)?;
        let known_at = self.table.known_at().ok_or_else(|| {
            Error::spec("integration.known_at", "is missing: an as-of join looks back from the moment of prediction")
        })?;
        let times = self.loaded.get(&join.source).and_then(|loaded| loaded.times.clone()).unwrap_or_default();
        let matches = crate::join::asof::as_of(field, join, &self.table.rows, &known_at, &right, &times)?;
        self.take_joined(field, &join.source, &join.on, (&join.columns, &join.prefix), matches)
    }

    fn source(&self, field: &str, name: &str) -> Result<DataFrame, Error> {
        match self.loaded.get(name) {
            Some(loaded) => Ok(loaded.rows.clone()),
            None => Err(Error::unknown_table(format!("{field}.source"), name, self.loaded.keys().map(String::as_str))),
        }
    }

    /// Puts the columns of the joined source beside those of the table so far.
    fn take_joined(
        &mut self,
        field: &str,
        source: &str,
        on: &[JoinKey],
        (columns, prefix): (&[String], &str),
        matches: Matches,
    ) -> Result<(), Error> {
        let right = self.source(field, source)?;
        let known = names(&right);
        let taken: Vec<String> = if columns.is_empty() {
            known.iter().filter(|name| !on.iter().any(|key| key.right == **name)).cloned().collect()
        } else {
            columns.to_vec()
        };
        if let Some(unknown) = taken.iter().find(|name| !known.contains(name)) {
            return Err(Error::unknown_column(format!("{field}.columns"), unknown, known.iter().map(String::as_str)));
        }
        let left_index = IdxCa::from_vec(PlSmallStr::EMPTY, matches.left);
        let right_index = IdxCa::from_iter_options(PlSmallStr::EMPTY, matches.right.iter().copied());
        let same = left_index.len() == self.table.rows.height() && matches.report.multiplied == 0;
        let mut rows = if same { self.table.rows.clone() } else { self.table.rows.take(&left_index)? };
        let mut joined = right.select(taken.iter().map(String::as_str))?.take(&right_index)?.into_columns();
        let mut table = self.table.clone();
        let occurrence = table.occurrence(source);
        for (column, name) in joined.iter_mut().zip(&taken) {
            let named = format!("{prefix}{name}");
            if rows.column(&named).is_ok() {
                return Err(Error::spec(
                    format!("{field}.prefix"),
                    format!(
                        "column `{named}` of `{source}` has the name of a column that is already there: set a `prefix`, or list the `columns` to take"
                    ),
                ));
            }
            column.rename(named.as_str().into());
            table.origins.insert(named, BTreeSet::from([(occurrence.clone(), name.clone())]));
        }
        for column in joined {
            rows.with_column(column)?;
        }
        if same {
            table.rows = rows;
        } else {
            table = table.carry(rows, &left_index)?;
        }
        if let Some(times) = self.loaded.get(source).and_then(|loaded| loaded.times.as_ref()) {
            table.set_times(&occurrence, matches.right.iter().map(|row| pick(times, *row)))?;
        }
        self.warn(&matches.report);
        self.joins.push(matches.report);
        self.table = table;
        Ok(())
    }

    fn warn(&mut self, report: &JoinReport) {
        if report.rows_in > 0 && report.matched * 10 < report.rows_in * 9 {
            self.warnings
                .push(format!("{} of {} rows find nothing in `{}`", report.unmatched, report.rows_in, report.source));
        }
        if report.multiplied > 0 {
            self.warnings.push(format!(
                "{} rows match several of `{}`; there are {} rows now",
                report.multiplied, report.source, report.rows_out
            ));
        }
    }

    fn sql(&mut self, field: &str, sql: &str) -> Result<(), Error> {
        let all = Tables::new(self.loaded.keys().map(String::as_str).chain([INPUT]));
        let checked = check_query(field, sql, &all, self.bounds)?;
        let mut tables: BTreeMap<&str, &DataFrame> =
            self.loaded.iter().map(|(name, loaded)| (name.as_str(), &loaded.rows)).collect();
        tables.insert(INPUT, &self.table.rows);
        let answer = crate::sql::run::run(field, &checked, &tables, self.bounds)?;
        let columns: BTreeMap<&str, Vec<String>> = tables.iter().map(|(name, rows)| (*name, names(rows))).collect();
        let traced = lineage(&checked, &answer.ordered.relations, &columns, &names(&answer.rows));
        let events = self.events(&answer.ordered.relations);
        let mut table = match &events {
            Some(events) => self.carry(field, events, &answer)?,
            None if self.integration.known_at.is_some() => {
                return Err(refused(
                    field,
                    "aggregates the events away, and with them their moments of prediction: aggregate in a subquery and join it to `input`",
                ));
            }
            None => self.table.derived(answer.rows.clone()),
        };
        let occurrences = self.occurrences(field, &mut table, events.as_ref(), &answer)?;
        table.origins = traced
            .into_iter()
            .map(|(name, from)| {
                let origins =
                    from.into_iter().flat_map(|from| self.origins_of(from, &occurrences, &mut table.lost, field));
                (name, origins.collect())
            })
            .collect();
        self.table = table;
        Ok(())
    }

    /// The relation whose rows are the events.
    fn events(&self, relations: &[Relation]) -> Option<Relation> {
        let named =
            |name: &str| relations.iter().find(|r| r.row.is_some() && r.table.as_deref() == Some(name)).cloned();
        named(INPUT).or_else(|| named(&self.integration.base))
    }

    /// Hidden columns under the rows of a query, and the account of its joins.
    fn carry(&mut self, field: &str, events: &Relation, answer: &Answer) -> Result<Table, Error> {
        let numbers = answer.numbers.get(&events.alias).ok_or_else(|| Error::engine("row numbers were lost"))?;
        if numbers.null_count() > 0 {
            return Err(refused(
                field,
                "makes rows that are no events (RIGHT or FULL JOIN): use LEFT JOIN from the events",
            ));
        }
        let from = if events.table.as_deref() == Some(INPUT) { &self.table } else { &self.base };
        let rows_in = from.rows.height() as u64;
        let table = from.carry(answer.rows.clone(), &index(numbers))?;
        if answer.ordered.joins {
            let report = self.account(field, events, numbers, rows_in, answer)?;
            self.warn(&report);
            self.joins.push(report);
        }
        Ok(table)
    }

    fn account(
        &self,
        field: &str,
        events: &Relation,
        numbers: &UInt32Chunked,
        rows_in: u64,
        answer: &Answer,
    ) -> Result<JoinReport, Error> {
        let mut times: BTreeMap<IdxSize, u64> = BTreeMap::new();
        for row in numbers.iter().flatten() {
            *times.entry(row).or_insert(0) += 1;
        }
        let report = JoinReport {
            source: "sql".into(),
            kind: "sql".into(),
            rows_in,
            matched: times.len() as u64,
            unmatched: rows_in - times.len() as u64,
            multiplied: times.values().filter(|count| **count > 1).count() as u64,
            rows_out: numbers.len() as u64,
            ..JoinReport::default()
        };
        let others: Vec<&str> =
            answer.ordered.relations.iter().map(|r| r.alias.as_str()).filter(|alias| *alias != events.alias).collect();
        if report.multiplied > 0 {
            return Err(Error::Multiplies {
                field: field.to_owned(),
                table: others.join("`, `"),
                rows: report.multiplied,
                rows_in,
                rows_out: report.rows_out,
            });
        }
        let unlimited = answer.ordered.limit.1.is_none() && answer.ordered.limit.0 == 0;
        if !answer.ordered.filters && unlimited && (report.matched as f64) < rows_in as f64 * LEAST_KEPT {
            return Err(Error::Drops {
                field: field.to_owned(),
                table: events.alias.clone(),
                kept: report.matched,
                rows_in,
            });
        }
        Ok(report)
    }

    /// Names the occurrence of a source that each relation is, and keeps their times.
    fn occurrences(
        &self,
        field: &str,
        table: &mut Table,
        events: Option<&Relation>,
        answer: &Answer,
    ) -> Result<BTreeMap<String, Option<String>>, Error> {
        let mut occurrences = BTreeMap::new();
        for relation in &answer.ordered.relations {
            let Some(source) = relation.table.as_deref() else { continue };
            let is_events = events.is_some_and(|events| events.alias == relation.alias);
            if source == INPUT || (is_events && source == self.integration.base) {
                // None: whatever the table so far (or the base) says.
                occurrences.insert(relation.alias.clone(), (source != INPUT).then(|| source.to_owned()));
                continue;
            }
            let occurrence = table.occurrence(source);
            let times = self.loaded.get(source).and_then(|loaded| loaded.times.as_ref());
            match (times, answer.numbers.get(&relation.alias)) {
                (Some(times), Some(numbers)) if events.is_some() => {
                    table.set_times(&occurrence, numbers.iter().map(|row| pick(times, row)))?;
                }
                (Some(_), _) => {
                    table.lost.insert(occurrence.clone(), field.to_owned());
                }
                (None, _) => {}
            }
            occurrences.insert(relation.alias.clone(), Some(occurrence));
        }
        Ok(occurrences)
    }

    /// Origins of a column that a query names.
    fn origins_of(
        &self,
        (table, column): (String, String),
        occurrences: &BTreeMap<String, Option<String>>,
        lost: &mut BTreeMap<String, String>,
        field: &str,
    ) -> BTreeSet<Origin> {
        match occurrences.get(&table) {
            Some(None) => self.table.origins.get(&column).cloned().unwrap_or_default(),
            Some(Some(occurrence)) => BTreeSet::from([(occurrence.clone(), column)]),
            None if table == INPUT => self.table.origins.get(&column).cloned().unwrap_or_default(),
            None if table == self.integration.base => BTreeSet::from([(table, column)]),
            None => {
                // Inside a subquery: row by row nothing is known about it any more.
                let occurrence = format!("{table}#subquery");
                if self.loaded.get(&table).is_some_and(|loaded| loaded.times.is_some()) {
                    lost.insert(occurrence.clone(), field.to_owned());
                }
                BTreeSet::from([(occurrence, column)])
            }
        }
    }
}

fn names(rows: &DataFrame) -> Vec<String> {
    rows.columns().iter().map(|column| column.name().to_string()).collect()
}

fn index(numbers: &UInt32Chunked) -> IdxCa {
    IdxCa::from_iter_options(PlSmallStr::EMPTY, numbers.iter())
}

fn pick(times: &[Option<i64>], row: Option<IdxSize>) -> Option<i64> {
    times.get(row? as usize).copied().flatten()
}
