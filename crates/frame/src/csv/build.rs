//! Columns that grow value by value and become series.

use gristmill_types::ColumnType;
use polars::prelude::*;

use super::cell::{parse_bool, parse_date, parse_decimal, parse_float, parse_int, parse_timestamp};
use crate::source::DeclaredType;
use crate::zone::Wall;

/// Values of one column under construction.
pub(crate) struct Builder {
    values: Growing,
    column_type: ColumnType,
    declared: bool,
    wall: Option<Wall>,
}

enum Growing {
    Bool(Vec<Option<bool>>),
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Decimal(u32, Vec<Option<i128>>),
    Text(StringChunkedBuilder),
    Date(Vec<Option<i32>>),
    Timestamp(Vec<Option<i64>>),
}

impl Builder {
    /// A builder for a declared type, or for a guessed one.
    pub fn new(name: &str, column_type: ColumnType, declared: Option<&DeclaredType>) -> Result<Self, String> {
        let values = match &column_type {
            ColumnType::Bool => Growing::Bool(Vec::new()),
            ColumnType::Int => Growing::Int(Vec::new()),
            ColumnType::Float => Growing::Float(Vec::new()),
            ColumnType::Decimal { scale } => Growing::Decimal(*scale, Vec::new()),
            ColumnType::Text => Growing::Text(StringChunkedBuilder::new(name.into(), 0)),
            ColumnType::Date => Growing::Date(Vec::new()),
            ColumnType::Timestamp { .. } => Growing::Timestamp(Vec::new()),
        };
        let wall = declared.and_then(DeclaredType::wall_zone).map(Wall::new).transpose()?;
        Ok(Self { values, column_type, declared: declared.is_some(), wall })
    }

    pub fn push_null(&mut self) {
        match &mut self.values {
            Growing::Bool(v) => v.push(None),
            Growing::Int(v) | Growing::Timestamp(v) => v.push(None),
            Growing::Float(v) => v.push(None),
            Growing::Decimal(_, v) => v.push(None),
            Growing::Text(v) => v.append_null(),
            Growing::Date(v) => v.push(None),
        }
    }

    /// Takes one value that is not null.
    ///
    /// # Errors
    /// Says why the text is not of the column's type and what to declare instead.
    pub fn push(&mut self, text: &str) -> Result<(), String> {
        let taken = match &mut self.values {
            Growing::Bool(v) => parse_bool(text, self.declared).map(|value| v.push(Some(value))),
            Growing::Int(v) => parse_int(text).map(|value| v.push(Some(value))),
            Growing::Float(v) => parse_float(text).map(|value| v.push(Some(value))),
            Growing::Decimal(scale, v) => parse_decimal(text, *scale).map(|value| v.push(Some(value))),
            Growing::Text(v) => {
                v.append_value(text);
                Some(())
            }
            Growing::Date(v) => parse_date(text).map(|value| v.push(Some(value))),
            Growing::Timestamp(v) => match (parse_timestamp(text), self.wall, &self.column_type) {
                (Some((micros, true)), _, ColumnType::Timestamp { zone: Some(_) }) => {
                    v.push(Some(micros));
                    Some(())
                }
                (Some((micros, false)), Some(wall), _) => {
                    v.push(Some(wall.to_utc(micros)?));
                    Some(())
                }
                (Some((micros, false)), None, ColumnType::Timestamp { zone: None }) => {
                    v.push(Some(micros));
                    Some(())
                }
                _ => None,
            },
        };
        taken.ok_or_else(|| self.refusal(text))
    }

    fn refusal(&self, text: &str) -> String {
        let shown: String = text.chars().take(40).collect();
        let expected = &self.column_type;
        if self.declared {
            format!(
                "`{shown}` is not of the declared type {expected}: correct the value, add it to `null_values`, or declare another type"
            )
        } else {
            format!(
                "`{shown}` is not of type {expected}, which the beginning of the file suggested: declare the column's type (such as text), or add the value to `null_values`"
            )
        }
    }

    /// The finished column.
    pub fn finish(self, name: &str) -> PolarsResult<Column> {
        let name: PlSmallStr = name.into();
        let series = match self.values {
            Growing::Bool(v) => Series::new(name, v),
            Growing::Int(v) => Series::new(name, v),
            Growing::Float(v) => Series::new(name, v),
            Growing::Decimal(scale, v) => {
                Int128Chunked::from_iter_options(name, v.into_iter()).into_decimal(38, scale as usize)?.into_series()
            }
            Growing::Text(v) => v.finish().into_series(),
            Growing::Date(v) => Int32Chunked::from_iter_options(name, v.into_iter()).into_date().into_series(),
            Growing::Timestamp(v) => {
                let zone = match self.column_type {
                    ColumnType::Timestamp { zone } => TimeZone::opt_try_new(zone)?,
                    _ => None,
                };
                Int64Chunked::from_iter_options(name, v.into_iter())
                    .into_datetime(TimeUnit::Microseconds, zone)
                    .into_series()
            }
        };
        Ok(series.into_column())
    }
}
