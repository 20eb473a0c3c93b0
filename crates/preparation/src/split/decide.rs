//! Chooses a split when the caller leaves it open, and checks it when not.

use std::collections::HashSet;

use gristmill_types::{Column, ColumnType, Columns, Values};

use super::{Method, Plan, Request, SplitError};

const DEFAULT_SHARES: [f64; 3] = [0.6, 0.2, 0.2];
/// A timestamp with fewer distinct days can't be cut into three periods that mean anything.
const MIN_DAYS: usize = 10;
/// A timestamp may be null on this share of rows and still order the data.
const MAX_NULL_TIME: f64 = 0.01;
/// An entity key repeats at least this often on average …
const MIN_ROWS_PER_GROUP: f64 = 1.5;
/// … and has at least this many entities.
const MIN_GROUPS: usize = 20;

/// What a split may be decided on.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The dataset's rows.
    pub rows: &'a Columns,
    /// Column that is predicted.
    pub target: &'a str,
    /// Columns that name a row for people.
    pub id_columns: &'a [String],
}

/// Turns a request into a plan.
///
/// # Errors
/// [`SplitError`] if what was asked for does not fit the data.
pub fn decide(request: &Request, candidate: Candidate<'_>) -> Result<Plan, SplitError> {
    let shares = request.shares.unwrap_or(DEFAULT_SHARES);
    let sum: f64 = shares.iter().sum();
    if shares.iter().any(|share| !share.is_finite() || *share <= 0.0) || (sum - 1.0).abs() > 1e-6 {
        return Err(SplitError::Shares(shares));
    }
    if let Some((train, validation)) = request.until
        && validation <= train
    {
        return Err(SplitError::Day(format!("validation_until ({validation}) must be after train_until ({train})")));
    }
    let (method, column, reason) = match (request.method, &request.column) {
        (Some(Method::Time), Some(column)) => (Method::Time, Some(column.clone()), "asked for".to_owned()),
        (Some(Method::Time), None) => match best_time(candidate) {
            Some((column, _)) => (Method::Time, Some(column.clone()), format!("asked for; `{column}` orders the rows")),
            None => return Err(SplitError::NeedsColumn("time")),
        },
        (Some(Method::Group), Some(column)) => (Method::Group, Some(column.clone()), "asked for".into()),
        (Some(Method::Group), None) => return Err(SplitError::NeedsColumn("group")),
        (Some(method), _) => (method, None, "asked for".into()),
        (None, Some(column)) => from_column(column, candidate)?,
        (None, None) => automatic(candidate),
    };
    if let Some(name) = &column {
        check_column(method, name, candidate.rows)?;
    }
    if request.until.is_some() && method != Method::Time {
        return Err(SplitError::Day("train_until and validation_until belong to a time split".into()));
    }
    Ok(Plan { method, column, shares, until: request.until, gap_seconds: request.gap_seconds.max(0), reason })
}

fn from_column(column: &str, candidate: Candidate<'_>) -> Result<(Method, Option<String>, String), SplitError> {
    let found = find(column, candidate.rows)?;
    let method = match found.column_type() {
        ColumnType::Date | ColumnType::Timestamp { .. } => Method::Time,
        _ => Method::Group,
    };
    Ok((method, Some(column.to_owned()), format!("`{column}` was named and is {}", found.column_type())))
}

fn automatic(candidate: Candidate<'_>) -> (Method, Option<String>, String) {
    if let Some((column, days)) = best_time(candidate) {
        let reason = format!(
            "`{column}` dates the rows over {days} days: a model is judged on days after those it was trained on"
        );
        return (Method::Time, Some(column), reason);
    }
    if let Some((column, groups)) = best_group(candidate) {
        let reason = format!(
            "`{column}` names {groups} entities that repeat: rows of one entity stay in one split, so that the test measures new entities"
        );
        return (Method::Group, Some(column), reason);
    }
    let reason = "no usable timestamp and no entity that repeats: rows are taken to be independent";
    (Method::Stratified, None, reason.into())
}

/// `_known_at`, the moment of prediction, if the dataset has one; else the date or zoned timestamp
/// with the most days.
fn best_time(candidate: Candidate<'_>) -> Option<(String, usize)> {
    let mut best: Option<(String, usize)> = None;
    for column in candidate.rows.columns() {
        let known_at = column.name == "_known_at";
        if column.name == candidate.target || (column.name.starts_with('_') && !known_at) {
            continue;
        }
        let Ok(days) = super::local_days(column) else { continue };
        let nulls = days.iter().filter(|day| day.is_none()).count();
        let distinct = days.iter().flatten().collect::<HashSet<_>>().len();
        #[expect(clippy::cast_precision_loss, reason = "a share of rows")]
        let usable = distinct >= MIN_DAYS && nulls as f64 <= MAX_NULL_TIME * days.len() as f64;
        if usable && known_at {
            return Some((column.name.clone(), distinct));
        }
        if usable && best.as_ref().is_none_or(|(_, most)| distinct > *most) {
            best = Some((column.name.clone(), distinct));
        }
    }
    best
}

fn best_group(candidate: Candidate<'_>) -> Option<(String, usize)> {
    let looks_like_key = |name: &str| {
        let name = name.to_lowercase();
        ["id", "key", "uuid", "code"].iter().any(|end| {
            name.strip_suffix(end).is_some_and(|stem| stem.is_empty() || stem.ends_with(['_', ' ', '-', '.']))
        })
    };
    candidate
        .rows
        .columns()
        .iter()
        .filter(|column| column.name != candidate.target && !column.name.starts_with('_'))
        .filter(|column| candidate.id_columns.contains(&column.name) || looks_like_key(&column.name))
        .filter(|column| column.null_count() == 0)
        .find_map(|column| {
            let groups = distinct(column)?;
            #[expect(clippy::cast_precision_loss, reason = "a ratio of counts")]
            let repeats = column.len() as f64 >= MIN_ROWS_PER_GROUP * groups as f64;
            (groups >= MIN_GROUPS && repeats).then(|| (column.name.clone(), groups))
        })
}

fn distinct(column: &Column) -> Option<usize> {
    match &column.values {
        Values::Int(values) => Some(values.iter().collect::<HashSet<_>>().len()),
        Values::Text(text) => Some(text.codes.iter().collect::<HashSet<_>>().len()),
        _ => None,
    }
}

fn check_column(method: Method, name: &str, rows: &Columns) -> Result<(), SplitError> {
    let column = find(name, rows)?;
    match method {
        Method::Time => super::local_days(column).map(|_| ()),
        Method::Group if column.column_type() == ColumnType::Float => Err(SplitError::Unfit {
            column: name.into(),
            found: "float".into(),
            method: "group",
            needed: "text, an integer, a boolean or a date",
        }),
        _ => Ok(()),
    }
}

fn find<'a>(name: &str, rows: &'a Columns) -> Result<&'a Column, SplitError> {
    rows.get(name).ok_or_else(|| {
        let known: Vec<&str> = rows.columns().iter().map(|c| c.name.as_str()).filter(|n| !n.starts_with('_')).collect();
        SplitError::NoColumn(name.chars().take(80).collect(), format!("; it has {}", known.join(", ")))
    })
}
