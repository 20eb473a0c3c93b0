//! Runs a checked query on the in-memory engine and puts its rows in order.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use polars::prelude::{
    DataFrame, Engine, IntoLazy as _, NamedFrom as _, PolarsError, Series, SortMultipleOptions, UInt32Chunked,
};
use polars::sql::SQLContext;
use sqlparser::ast::{Expr, SelectItem, Visit, Visitor};

use super::check::{Checked, Tables, refused};
use super::local::Functions;
use super::order::{OrderKey, Ordered, ROW, order};
use crate::canonical::canonical_column;
use crate::{Bounds, Error};

/// The rows of a query, with the row number of each relation that they came from.
pub(crate) struct Answer {
    /// Output columns, canonical.
    pub rows: DataFrame,
    /// By relation: row numbers, null where an outer join found none.
    pub numbers: BTreeMap<String, UInt32Chunked>,
    /// The query as it ran.
    pub ordered: Ordered,
}

/// Runs `checked` over `tables`.
pub(crate) fn run(
    field: &str,
    checked: &Checked,
    tables: &BTreeMap<&str, &DataFrame>,
    bounds: &Bounds,
) -> Result<Answer, Error> {
    let names = Tables::new(tables.keys().copied());
    let ordered = order(field, checked, &names)?;
    let mut context = SQLContext::new().with_function_registry(Arc::new(Functions));
    for (name, table) in tables {
        let mut table = (*table).clone();
        if ordered.plain {
            let numbers: Vec<u32> = (0..u32::try_from(table.height()).unwrap_or(u32::MAX)).collect();
            table.with_column(Series::new(ROW.into(), numbers).into())?;
        }
        context.register(name, table.lazy());
    }
    let answered = context
        .execute(&ordered.sql)
        .and_then(|frame| frame.collect_with_engine(Engine::InMemory))
        .map(|result| result.unwrap_single());
    let mut rows = answered.map_err(|error| explain(field, &error, checked, tables))?;
    if rows.height() as u64 > bounds.rows {
        return Err(Error::Limit {
            what: format!("{field} gives {} rows", rows.height()),
            limit: format!("{} rows", bounds.rows),
            advice: "look for a join without a condition, or filter".into(),
        });
    }
    sort(field, &mut rows, &ordered)?;
    let (skip, keep) = ordered.limit;
    if skip > 0 || keep.is_some() {
        rows = rows.slice(i64::try_from(skip).unwrap_or(i64::MAX), keep.unwrap_or(usize::MAX));
    }
    let mut numbers = BTreeMap::new();
    for (alias, hidden) in ordered.relations.iter().filter_map(|r| Some((&r.alias, r.row.as_ref()?))) {
        numbers.insert(alias.clone(), rows.column(hidden)?.as_materialized_series().u32()?.clone());
    }
    Ok(Answer { rows: visible(field, &rows)?, numbers, ordered })
}

fn is_hidden(name: &str) -> bool {
    name.starts_with(ROW) || name.starts_with("__order_")
}

/// Output columns without the hidden ones, in canonical types.
fn visible(field: &str, rows: &DataFrame) -> Result<DataFrame, Error> {
    let mut columns = Vec::new();
    for column in rows.columns().iter().filter(|column| !is_hidden(column.name())) {
        crate::integration::check_column_name(field, column.name())?;
        let Some(canonical) = canonical_column(column)? else {
            return Err(refused(
                field,
                format!(
                    "gives column `{}` the type {}, which a dataset does not hold: cast it",
                    column.name(),
                    column.dtype()
                ),
            ));
        };
        columns.push(canonical);
    }
    Ok(DataFrame::new(rows.height(), columns)?)
}

/// Sorts by ORDER BY, then by row numbers, then (unless those already decide) by every column.
fn sort(field: &str, rows: &mut DataFrame, ordered: &Ordered) -> Result<(), Error> {
    let outputs: Vec<String> =
        rows.columns().iter().map(|c| c.name().to_string()).filter(|name| !is_hidden(name)).collect();
    let mut by: Vec<String> = Vec::new();
    let (mut descending, mut nulls_last) = (Vec::new(), Vec::new());
    let mut add = |name: String, desc: bool, last: bool| {
        if !by.contains(&name) {
            by.push(name);
            descending.push(desc);
            nulls_last.push(last);
        }
    };
    for (key, desc, last) in &ordered.order {
        let name = match key {
            OrderKey::Named(name) => name.clone(),
            OrderKey::Nth(index) => outputs.get(*index).cloned().ok_or_else(|| {
                refused(field, format!("orders by column {}, but there are {}", index + 1, outputs.len()))
            })?,
        };
        if rows.column(&name).is_err() {
            return Err(Error::unknown_column(field, &name, outputs.iter().map(String::as_str)));
        }
        add(name, *desc, *last);
    }
    let rows_named = ordered.relations.iter().filter_map(|relation| relation.row.clone());
    rows_named.for_each(|row| add(row, false, true));
    let decided = ordered.plain && ordered.relations.iter().all(|r| r.row.is_some() || !r.visible);
    if !decided {
        for (name, column) in outputs.iter().filter_map(|name| Some((name, rows.column(name).ok()?))) {
            if !column.dtype().is_nested() {
                add(name.clone(), false, true);
            }
        }
    }
    if by.is_empty() || rows.height() < 2 || in_order(rows, &by, &descending) {
        return Ok(());
    }
    let options = SortMultipleOptions::default()
        .with_order_descending_multi(descending)
        .with_nulls_last_multi(nulls_last)
        .with_maintain_order(true);
    rows.sort_in_place(by, options)?;
    Ok(())
}

/// Whether the first key alone proves the order: row numbers that rise at every row, as after a projection.
fn in_order(rows: &DataFrame, by: &[String], descending: &[bool]) -> bool {
    let (Some(first), Some(false)) = (by.first(), descending.first()) else { return false };
    let Ok(column) = rows.column(first) else { return false };
    let Ok(numbers) = column.as_materialized_series().u32() else { return false };
    numbers.null_count() == 0 && numbers.iter().flatten().is_sorted_by(|a, b| a < b)
}

/// What the engine did not like, in the words of the query's author.
fn explain(field: &str, error: &PolarsError, checked: &Checked, tables: &BTreeMap<&str, &DataFrame>) -> Error {
    let text = error.to_string();
    let known: BTreeSet<&str> = tables.values().flat_map(|t| t.columns()).map(|c| c.name().as_str()).collect();
    let lower = text.to_lowercase();
    if matches!(error, PolarsError::ColumnNotFound(_))
        || lower.contains("not found")
        || lower.contains("unable to find")
    {
        let mut names = Names::default();
        let _ = checked.query.visit(&mut names);
        let unknown = names.used.iter().find(|name| {
            !known.contains(name.as_str()) && !names.made.contains(*name) && !tables.contains_key(name.as_str())
        });
        if let Some(unknown) = unknown {
            return Error::unknown_column(field, unknown, known);
        }
    }
    refused(field, format!("cannot run: {}", crate::error::first_line(&text)))
}

/// Column names that a query uses, and those that it makes.
#[derive(Default)]
struct Names {
    used: Vec<String>,
    made: BTreeSet<String>,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_select(&mut self, select: &sqlparser::ast::Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.made.insert(alias.value.clone());
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => self.used.push(name.value.clone()),
            Expr::CompoundIdentifier(path) => self.used.extend(path.last().map(|name| name.value.clone())),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
