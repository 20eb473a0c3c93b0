//! What turns sources into one table: the specification, and its check before anything runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sql::check::{Tables, check_expression, check_query};
use crate::{Availability, Bounds, Error, SourceSpec};

/// The name under which SQL sees the table so far.
pub const INPUT: &str = "input";

/// Turns sources into one table whose rows are those of `base`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Integration {
    /// The source whose rows are the events.
    pub base: String,
    /// Applied in order.
    pub steps: Vec<Step>,
    /// SQL expression over the base's columns: the moment of prediction of each row.
    pub known_at: Option<String>,
    /// Columns of the base (or of the dataset) that are only known after that moment.
    pub known_after: Vec<String>,
    /// SQL predicate that defines the population.
    pub filter: Option<String>,
    /// Columns of the dataset, in order; empty for all.
    pub columns: Vec<String>,
    /// Columns that name a row; empty for the whole row of the base.
    pub key: Vec<String>,
    /// SQL expression for the unit of dependence, such as the local day.
    pub unit: Option<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// One SELECT over the sources and `input`, the table so far.
    Sql(String),
    /// Left equi-join.
    Join(Join),
    /// Left join with the newest row that was available.
    AsOf(AsOf),
    /// New columns, each a SQL expression over `input`.
    Derive(Vec<Derived>),
}

/// One new column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derived {
    /// Its name; an existing column of that name is replaced.
    pub name: String,
    /// SQL expression.
    pub expression: String,
}

/// A pair of columns that must be equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinKey {
    /// Column of the table so far.
    pub left: String,
    /// Column of the joined source.
    pub right: String,
}

/// Left equi-join with a source; each row should match at most one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Join {
    /// Source to join.
    pub source: String,
    /// Keys.
    pub on: Vec<JoinKey>,
    /// Columns to take; empty for all but the keys.
    pub columns: Vec<String>,
    /// Put before the names of the columns taken.
    pub prefix: String,
    /// Let rows that match several be multiplied.
    pub allow_multiple: bool,
    /// Least share of rows that must match; half by default.
    pub min_matched: Option<f64>,
}

/// Left join with the newest row of a source that was available at the moment of prediction.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AsOf {
    /// Source to join; it declares when its rows are available.
    pub source: String,
    /// Keys; empty if the source is one series for all rows.
    pub on: Vec<JoinKey>,
    /// A row that became available more than this many seconds before is too old.
    pub tolerance_seconds: Option<i64>,
    /// Columns to take; empty for all but the keys.
    pub columns: Vec<String>,
    /// Put before the names of the columns taken.
    pub prefix: String,
    /// Least share of rows that must match; half by default.
    pub min_matched: Option<f64>,
}

/// Share of rows that must match unless the join says otherwise.
pub const MIN_MATCHED: f64 = 0.5;

impl Integration {
    /// One source as it is.
    pub fn of(base: impl Into<String>) -> Self {
        Self { base: base.into(), ..Self::default() }
    }

    /// Checks names, SQL and numbers; nothing is read yet.
    ///
    /// # Errors
    /// [`Error::Spec`], [`Error::Sql`] or [`Error::UnknownTable`] naming the field.
    pub fn check(&self, sources: &BTreeMap<String, SourceSpec>, bounds: &Bounds) -> Result<(), Error> {
        check_counts(self, sources, bounds)?;
        for (name, spec) in sources {
            check_source_name(name)?;
            spec.check(name)?;
        }
        if !sources.contains_key(&self.base) {
            return Err(Error::unknown_table("integration.base", &self.base, sources.keys().map(String::as_str)));
        }
        for (index, step) in self.steps.iter().enumerate() {
            self.check_step(&format!("integration.steps[{index}]"), step, sources, bounds)?;
        }
        for (field, expression) in [("known_at", &self.known_at), ("filter", &self.filter), ("unit", &self.unit)] {
            if let Some(expression) = expression {
                check_expression(&format!("integration.{field}"), expression, bounds)?;
            }
        }
        for (field, names) in [("columns", &self.columns), ("key", &self.key)] {
            for (index, name) in names.iter().enumerate() {
                if names.iter().take(index).any(|before| before == name) {
                    return Err(Error::spec(
                        format!("integration.{field}[{index}]"),
                        format!("column `{name}` is listed twice"),
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_step(
        &self,
        field: &str,
        step: &Step,
        sources: &BTreeMap<String, SourceSpec>,
        bounds: &Bounds,
    ) -> Result<(), Error> {
        match step {
            Step::Sql(sql) => {
                let tables = Tables::new(sources.keys().map(String::as_str).chain([INPUT]));
                check_query(&format!("{field}.sql"), sql, &tables, bounds).map(|_| ())
            }
            Step::Join(join) => {
                if join.on.is_empty() {
                    return Err(Error::spec(
                        format!("{field}.join.on"),
                        "is empty: name at least one pair of key columns",
                    ));
                }
                check_join(&format!("{field}.join"), &join.source, join.min_matched, sources)?;
                Ok(())
            }
            Step::AsOf(join) => {
                let field = format!("{field}.as_of");
                let spec = check_join(&field, &join.source, join.min_matched, sources)?;
                if !matches!(spec.available, Some(Availability::At { .. })) {
                    return Err(Error::spec(
                        format!("sources.{}.available", join.source),
                        format!(
                            "is missing: an as-of join needs to know when a row of `{}` becomes available; declare its timestamp column and a delay",
                            join.source
                        ),
                    ));
                }
                if self.known_at.is_none() {
                    return Err(Error::spec(
                        "integration.known_at",
                        "is missing: an as-of join looks back from the moment of prediction; declare it as an expression over the base's columns",
                    ));
                }
                if join.tolerance_seconds.is_some_and(|seconds| seconds <= 0) {
                    return Err(Error::spec(
                        format!("{field}.tolerance"),
                        "must be above zero; leave it out for no bound",
                    ));
                }
                Ok(())
            }
            Step::Derive(columns) => {
                for (index, derived) in columns.iter().enumerate() {
                    let field = format!("{field}.derive[{index}]");
                    check_column_name(&field, &derived.name)?;
                    check_expression(&field, &derived.expression, bounds)?;
                }
                Ok(())
            }
        }
    }
}

fn check_counts(
    integration: &Integration,
    sources: &BTreeMap<String, SourceSpec>,
    bounds: &Bounds,
) -> Result<(), Error> {
    for (what, count) in [("sources", sources.len()), ("steps", integration.steps.len())] {
        if count > bounds.sources {
            return Err(Error::Limit {
                what: format!("{count} {what}"),
                limit: format!("{} {what}", bounds.sources),
                advice: "join some of them beforehand".into(),
            });
        }
    }
    Ok(())
}

fn check_source_name(name: &str) -> Result<(), Error> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic());
    if first && name.len() <= 63 && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') && name != INPUT {
        return Ok(());
    }
    let shown: String = name.chars().take(63).collect();
    Err(Error::spec(
        format!("sources.{shown}"),
        "a source is named by 1 to 63 ASCII letters, digits and `_`, begins with a letter and is not `input`: SQL uses the name",
    ))
}

pub(crate) fn check_column_name(field: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() || name.starts_with('_') || name.len() > 255 || name.contains(['"', '\0']) {
        let shown: String = name.chars().take(60).collect();
        return Err(Error::spec(
            field,
            format!(
                "`{shown}` is no name for a column: use 1 to 255 bytes without quotes; names that start with `_` are reserved"
            ),
        ));
    }
    Ok(())
}

fn check_join<'s>(
    field: &str,
    source: &str,
    min_matched: Option<f64>,
    sources: &'s BTreeMap<String, SourceSpec>,
) -> Result<&'s SourceSpec, Error> {
    let spec = sources
        .get(source)
        .ok_or_else(|| Error::unknown_table(format!("{field}.source"), source, sources.keys().map(String::as_str)))?;
    if min_matched.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        return Err(Error::spec(format!("{field}.min_matched"), "must be a share between 0 and 1"));
    }
    Ok(spec)
}
