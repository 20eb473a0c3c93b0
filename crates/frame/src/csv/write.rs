//! Columns as delimited text.

use std::io::Write;

use chrono::{DateTime, Days, NaiveDate};
use gristmill_types::{Cell, Column, Columns, Values};

use crate::Error;

/// Writes a header and one line per row; nulls are empty, timestamps ISO 8601 in UTC (with `Z` unless
/// naive), floats in the shortest form that reads back equal.
///
/// # Errors
/// [`Error::Write`] when the writer fails.
pub fn write_csv(columns: &Columns, mut to: impl Write) -> Result<(), Error> {
    let mut line = String::new();
    let mut text = String::new();
    for (index, column) in columns.columns().iter().enumerate() {
        separate(&mut line, index);
        quote(&mut line, &column.name);
    }
    line.push('\n');
    for row in 0..columns.rows() {
        for (index, column) in columns.columns().iter().enumerate() {
            separate(&mut line, index);
            text.clear();
            if put_cell(&mut text, column, row) {
                quote(&mut line, &text);
            } else if columns.columns().len() == 1 {
                // A blank line would not read back as a row.
                line.push_str("NA");
            }
        }
        line.push('\n');
        if line.len() > 1 << 16 {
            to.write_all(line.as_bytes()).map_err(Error::write)?;
            line.clear();
        }
    }
    to.write_all(line.as_bytes()).and_then(|()| to.flush()).map_err(Error::write)
}

fn separate(line: &mut String, index: usize) {
    if index > 0 {
        line.push(',');
    }
}

fn quote(line: &mut String, text: &str) {
    if text.is_empty() || text.contains(['"', ',', '\n', '\r']) {
        line.push('"');
        for character in text.chars() {
            if character == '"' {
                line.push('"');
            }
            line.push(character);
        }
        line.push('"');
    } else {
        line.push_str(text);
    }
}

/// Appends row `row` as text; false for a null.
pub(crate) fn put_cell(text: &mut String, column: &Column, row: usize) -> bool {
    use std::fmt::Write as _;
    let naive = matches!(&column.values, Values::Timestamp { zone: None, .. });
    // Writing into a string cannot fail.
    let _ = match column.cell(row) {
        Cell::Missing => return false,
        Cell::Bool(value) => write!(text, "{value}"),
        Cell::Int(value) => write!(text, "{value}"),
        Cell::Float(value) if value.is_finite() && value.abs() >= 1e16 => write!(text, "{value:e}"),
        Cell::Float(value) => write!(text, "{value}"),
        Cell::Decimal { scale, unscaled } => {
            let sign = if unscaled < 0 { "-" } else { "" };
            let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale as usize + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
            if scale == 0 { write!(text, "{sign}{whole}") } else { write!(text, "{sign}{whole}.{fraction}") }
        }
        Cell::Text(value) => write!(text, "{value}"),
        Cell::Date(days) => match NaiveDate::default().checked_add_days(Days::new(days.max(0).unsigned_abs().into())) {
            Some(date) if days >= 0 => write!(text, "{date}"),
            _ => match NaiveDate::default().checked_sub_days(Days::new(days.unsigned_abs().into())) {
                Some(date) => write!(text, "{date}"),
                None => return false,
            },
        },
        Cell::Timestamp(micros) => match DateTime::from_timestamp_micros(micros) {
            Some(time) if naive => write!(text, "{}", time.format("%Y-%m-%dT%H:%M:%S%.f")),
            Some(time) => write!(text, "{}", time.format("%Y-%m-%dT%H:%M:%S%.fZ")),
            None => return false,
        },
    };
    true
}
