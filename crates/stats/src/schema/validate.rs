//! A table against a schema.

use gristmill_types::{Column, ColumnType, Columns, Text, Values};
use rayon::prelude::*;

use super::{Anomaly, AnomalyKind, ColumnSchema, Schema, Severity, Validation};
use crate::profile::{ColumnProfile, ProfileOptions, profile_column};

/// Values shown with an anomaly.
const EXAMPLES: usize = 5;

/// Checks `table`; columns in parallel, anomalies in the order of the schema, new columns after them.
pub fn validate(table: &Columns, schema: &Schema) -> Validation {
    let mut anomalies = rows(table, schema);
    let found: Vec<Vec<Anomaly>> = schema.columns.par_iter().map(|expected| check(table, expected)).collect();
    anomalies.extend(found.into_iter().flatten());
    let new =
        table.columns().iter().filter(|column| !column.name.starts_with('_') && schema.get(&column.name).is_none());
    if !schema.allow_new_columns {
        anomalies.extend(new.map(|column| {
            let long = format!(
                "column `{}` ({}) is not in the schema: add it there, or drop it from the source",
                column.name,
                column.column_type()
            );
            anomaly(AnomalyKind::NewColumn, Severity::Warning, &column.name, "column is new", long)
        }));
    }
    Validation { rows: table.rows() as u64, anomalies }
}

fn anomaly(kind: AnomalyKind, severity: Severity, column: &str, short: &str, long: String) -> Anomaly {
    Anomaly {
        kind,
        severity,
        column: Some(column.to_owned()),
        short: short.into(),
        long,
        rows: 0,
        examples: Vec::new(),
    }
}

fn rows(table: &Columns, schema: &Schema) -> Vec<Anomaly> {
    let rows = table.rows() as u64;
    let whole =
        |kind, severity, short: &str, long| Anomaly { column: None, rows, ..anomaly(kind, severity, "", short, long) };
    let mut found = Vec::new();
    if let Some(min) = schema.rows.min.filter(|min| rows < *min) {
        let long =
            format!("the table has {rows} rows where at least {min} are expected: check that the source is complete");
        found.push(whole(AnomalyKind::RowsTooFew, Severity::Error, "too few rows", long));
    }
    if let Some(max) = schema.rows.max.filter(|max| rows > *max) {
        let long = format!("the table has {rows} rows where at most {max} are expected: check for repeated rows");
        found.push(whole(AnomalyKind::RowsTooMany, Severity::Warning, "too many rows", long));
    }
    found
}

fn check(table: &Columns, expected: &ColumnSchema) -> Vec<Anomaly> {
    let name = &expected.name;
    let Some(column) = table.get(name) else {
        if !expected.required {
            return Vec::new();
        }
        let long = format!("column `{name}` ({}) is missing: the source must deliver it", expected.column_type);
        return vec![anomaly(AnomalyKind::ColumnMissing, Severity::Error, name, "column is missing", long)];
    };
    // An optional column that is there without any value is as good as absent.
    let profile =
        profile_column(column, &ProfileOptions { top: 0, categories: 0, bins: 0, ..ProfileOptions::default() });
    if profile.count == 0 && (profile.missing == 0 || !expected.required) {
        return Vec::new();
    }
    if profile.count == 0 {
        let severity = if expected.min_present > 0.0 { Severity::Error } else { Severity::Warning };
        let long = format!("none of the {} rows has a value in `{name}`", profile.missing);
        let found = anomaly(AnomalyKind::ColumnEmpty, severity, name, "column is empty", long);
        return vec![Anomaly { rows: profile.missing, ..found }];
    }
    if !compatible(column, &expected.column_type) {
        return vec![type_changed(column, expected)];
    }
    let mut found = Vec::new();
    found.extend(presence(&profile, expected));
    found.extend(special(&profile, expected));
    found.extend(domain(column, &profile, expected));
    found.extend(range(column, &profile, expected));
    found.extend(distinct(&profile, expected));
    found
}

/// Whether every value of `column` is one of the expected type too: whole numbers are numbers, and a float
/// column of whole numbers is what many readers make of integers with nulls.
fn compatible(column: &Column, expected: &ColumnType) -> bool {
    match (&column.values, expected) {
        (Values::Int(_), ColumnType::Float | ColumnType::Decimal { .. })
        | (Values::Decimal { .. }, ColumnType::Float) => true,
        (Values::Float(values), ColumnType::Int) => {
            values.iter().enumerate().all(|(row, v)| !column.is_valid(row) || v.is_nan() || v.fract() == 0.0)
        }
        _ => column.column_type() == *expected,
    }
}

fn type_changed(column: &Column, expected: &ColumnSchema) -> Anomaly {
    let (is, was) = (column.column_type(), &expected.column_type);
    let mut long = format!("column `{}` is {is} where {was} is expected", column.name);
    let mut rows = (column.len() - column.null_count()) as u64;
    let mut examples = Vec::new();
    if let (Values::Text(text), true) = (&column.values, was.is_numeric()) {
        (rows, examples) = offending(column, text, |value| value.trim().parse::<f64>().is_err());
        if rows > 0 {
            long.push_str(&format!(": {rows} values are not numbers, such as {}", quoted(&examples)));
        }
    }
    let found =
        anomaly(AnomalyKind::TypeChanged, Severity::Error, &column.name, &format!("{is} instead of {was}"), long);
    Anomaly { rows, examples, ..found }
}

fn presence(profile: &ColumnProfile, expected: &ColumnSchema) -> Option<Anomaly> {
    let share = 1.0 - profile.missing_share();
    if share >= expected.min_present {
        return None;
    }
    let long = format!(
        "{} of {} rows have no value in `{}`: {} present where at least {} is expected",
        profile.missing,
        profile.missing + profile.count,
        profile.name,
        percent(share),
        percent(expected.min_present)
    );
    let found = anomaly(AnomalyKind::PresenceTooLow, Severity::Error, &profile.name, "too many values missing", long);
    Some(Anomaly { rows: profile.missing, ..found })
}

fn special(profile: &ColumnProfile, expected: &ColumnSchema) -> Vec<Anomaly> {
    let name = &profile.name;
    let one = |kind, rows, what: &str| {
        let long = format!("{rows} values of `{name}` are {what}: clean the source, or allow them in the schema");
        Anomaly { rows, ..anomaly(kind, Severity::Error, name, &format!("contains {what}"), long) }
    };
    let mut found = Vec::new();
    if profile.nan > 0 && !expected.allow_nan {
        found.push(one(AnomalyKind::NanPresent, profile.nan, "NaN"));
    }
    if profile.infinite > 0 && !expected.allow_infinite {
        found.push(one(AnomalyKind::InfinitePresent, profile.infinite, "infinite"));
    }
    found
}

fn domain(column: &Column, profile: &ColumnProfile, expected: &ColumnSchema) -> Option<Anomaly> {
    let (Values::Text(text), Some(domain)) = (&column.values, &expected.domain) else { return None };
    let known: std::collections::BTreeSet<&str> = domain.iter().map(String::as_str).collect();
    let (rows, examples) = offending(column, text, |value| !known.contains(value));
    if rows == 0 {
        return None;
    }
    let long = format!(
        "{rows} of {} values of `{}` ({}) are not among the {} expected, such as {}",
        profile.count,
        column.name,
        percent(rows as f64 / profile.count as f64),
        domain.len(),
        quoted(&examples)
    );
    let found = anomaly(AnomalyKind::UnexpectedValues, Severity::Warning, &column.name, "unexpected values", long);
    Some(Anomaly { rows, examples, ..found })
}

/// Rows whose text offends, and the most frequent such texts.
fn offending(column: &Column, text: &Text, offends: impl Fn(&str) -> bool) -> (u64, Vec<String>) {
    let mut counts = vec![0_u64; text.values.len()];
    for (row, code) in text.codes.iter().enumerate() {
        if let Some(count) = counts.get_mut(*code as usize).filter(|_| column.is_valid(row)) {
            *count += 1;
        }
    }
    let mut found: Vec<(&String, u64)> =
        text.values.iter().zip(counts).filter(|(value, count)| *count > 0 && offends(value)).collect();
    found.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let rows = found.iter().map(|(_, count)| count).sum();
    (rows, found.iter().take(EXAMPLES).map(|(value, _)| clip(value)).collect())
}

fn range(column: &Column, profile: &ColumnProfile, expected: &ColumnSchema) -> Vec<Anomaly> {
    if !column.column_type().is_numeric() || (expected.min.is_none() && expected.max.is_none()) {
        return Vec::new();
    }
    let values = crate::profile::numbers(column);
    let mut found = Vec::new();
    let mut look = |kind, bound: f64, word: &str, outside: &dyn Fn(f64) -> bool, extreme: fn(f64, f64) -> f64| {
        let out = || values.iter().copied().filter(|v| outside(*v));
        let rows = out().count() as u64;
        if rows == 0 {
            return;
        }
        let worst = out().reduce(extreme).unwrap_or(bound);
        let long = format!(
            "{rows} of {} values of `{}` are {word} {bound}, the most extreme is {worst}",
            profile.count, column.name
        );
        let found_one = anomaly(kind, Severity::Warning, &column.name, &format!("values {word} {bound}"), long);
        found.push(Anomaly { rows, examples: vec![worst.to_string()], ..found_one });
    };
    if let Some(min) = expected.min {
        look(AnomalyKind::BelowDomain, min, "below", &|v| v < min, f64::min);
    }
    if let Some(max) = expected.max {
        look(AnomalyKind::AboveDomain, max, "above", &|v| v > max, f64::max);
    }
    found
}

fn distinct(profile: &ColumnProfile, expected: &ColumnSchema) -> Option<Anomaly> {
    let (name, found) = (&profile.name, profile.distinct);
    let (kind, short, bound) = if let Some(min) = expected.distinct.min.filter(|min| found < *min) {
        (AnomalyKind::TooFewDistinct, "too few different values", format!("at least {min}"))
    } else if let Some(max) = expected.distinct.max.filter(|max| found > *max) {
        (AnomalyKind::TooManyDistinct, "too many different values", format!("at most {max}"))
    } else {
        return None;
    };
    let long = format!("`{name}` has {found} different values where {bound} are expected");
    Some(anomaly(kind, Severity::Warning, name, short, long))
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn quoted(values: &[String]) -> String {
    values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ")
}

/// The first characters of a text, so that one cell cannot fill a report.
fn clip(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_owned() } else { text.chars().take(59).chain(['…']).collect() }
}
