//! The engine's tables ⇄ plain columns.

use gristmill_types::{Column, ColumnType, Columns, Text, Values};
use polars::prelude::{
    Column as PolarsColumn, DataFrame, DataType, Int32Chunked, Int64Chunked, Int128Chunked, IntoColumn as _,
    IntoSeries as _, NamedFrom as _, NewChunkedArray as _, PlSmallStr, PolarsResult, Series, StringChunked,
    StringChunkedBuilder, TimeUnit, TimeZone,
};

use crate::Error;
use crate::canonical::canonical_column;

/// Plain columns of a table. Integers of every width become [`Values::Int`] (those beyond 64 signed
/// bits are refused), floats [`Values::Float`], categories [`Values::Text`], datetimes of every unit
/// microseconds (finer digits are cut off).
///
/// # Errors
/// [`Error::SourceColumn`] for a column that no column type holds.
pub fn to_columns(rows: &DataFrame) -> Result<Columns, Error> {
    let columns = rows.columns().iter().map(to_column).collect::<Result<Vec<_>, _>>()?;
    Ok(Columns::new(columns)?)
}

/// One plain column.
pub(crate) fn to_column(column: &PolarsColumn) -> Result<Column, Error> {
    let name = column.name().to_string();
    let Some(canonical) = canonical_column(column)? else {
        return Err(Error::SourceColumn {
            source_name: "table".into(),
            column: name,
            problem: format!("type {} is none that a dataset holds: cast it, or leave it out", column.dtype()),
        });
    };
    let series = canonical.as_materialized_series();
    Ok(match series.dtype() {
        DataType::Boolean => split(name, series.bool()?.iter(), Values::Bool),
        DataType::Int64 => split(name, series.i64()?.iter(), Values::Int),
        DataType::Float64 => split(name, series.f64()?.iter(), Values::Float),
        DataType::Decimal(_, scale) => {
            let scale = u32::try_from(*scale).unwrap_or(u32::MAX);
            split(name, series.decimal()?.physical().iter(), |unscaled| Values::Decimal { scale, unscaled })
        }
        DataType::Date => split(name, series.date()?.physical().iter(), Values::Date),
        DataType::Datetime(_, zone) => {
            let zone = zone.as_ref().map(ToString::to_string);
            split(name, series.datetime()?.physical().iter(), |micros| Values::Timestamp { zone, micros })
        }
        _ => {
            let (text, valid) = Text::from_rows(series.str()?.iter());
            Column::with_valid(name, Values::Text(text), valid)
        }
    })
}

fn split<T: Default>(
    name: String,
    rows: impl Iterator<Item = Option<T>>,
    values: impl FnOnce(Vec<T>) -> Values,
) -> Column {
    let (taken, valid) = rows.map(|row| (row.is_some(), row)).map(|(v, row)| (row.unwrap_or_default(), v)).unzip();
    Column::with_valid(name, values(taken), valid)
}

/// A table of the engine.
///
/// # Errors
/// [`Error::Table`] for a zone or a scale that the engine does not know.
pub fn from_columns(columns: &Columns) -> Result<DataFrame, Error> {
    let converted = columns.columns().iter().map(from_column).collect::<PolarsResult<Vec<_>>>();
    let converted = converted.map_err(|error| Error::Table { detail: crate::error::first_line(&error.to_string()) })?;
    Ok(DataFrame::new(columns.rows(), converted)?)
}

/// One column of the engine.
pub(crate) fn from_column(column: &Column) -> PolarsResult<PolarsColumn> {
    let name: PlSmallStr = column.name.as_str().into();
    let valid = column.valid.as_deref();
    let series = match &column.values {
        Values::Bool(v) => Series::new(name, mask(v, valid).collect::<Vec<_>>()),
        Values::Int(v) => Int64Chunked::from_iter_options(name, mask(v, valid)).into_series(),
        Values::Float(v) => Series::new(name, mask(v, valid).collect::<Vec<_>>()),
        Values::Decimal { scale, unscaled } => Int128Chunked::from_iter_options(name, mask(unscaled, valid))
            .into_decimal(38, *scale as usize)?
            .into_series(),
        Values::Text(text) => strings(name, text, column).into_series(),
        Values::Date(v) => Int32Chunked::from_iter_options(name, mask(v, valid)).into_date().into_series(),
        Values::Timestamp { zone, micros } => Int64Chunked::from_iter_options(name, mask(micros, valid))
            .into_datetime(TimeUnit::Microseconds, TimeZone::opt_try_new(zone.as_deref())?)
            .into_series(),
    };
    Ok(series.into_column())
}

fn strings(name: PlSmallStr, text: &Text, column: &Column) -> StringChunked {
    let mut builder = StringChunkedBuilder::new(name, text.codes.len());
    for row in 0..text.codes.len() {
        if column.is_valid(row) {
            builder.append_value(text.get(row));
        } else {
            builder.append_null();
        }
    }
    builder.finish()
}

fn mask<'a, T: Copy>(values: &'a [T], valid: Option<&'a [bool]>) -> impl Iterator<Item = Option<T>> + 'a {
    values
        .iter()
        .enumerate()
        .map(move |(row, value)| valid.is_none_or(|valid| valid.get(row) == Some(&true)).then_some(*value))
}

/// The column type of a canonical column.
pub(crate) fn column_type(dtype: &DataType) -> Option<ColumnType> {
    Some(match dtype {
        DataType::Boolean => ColumnType::Bool,
        DataType::Int64 => ColumnType::Int,
        DataType::Float64 => ColumnType::Float,
        DataType::Decimal(_, scale) => ColumnType::Decimal { scale: u32::try_from(*scale).ok()? },
        DataType::String => ColumnType::Text,
        DataType::Date => ColumnType::Date,
        DataType::Datetime(TimeUnit::Microseconds, zone) => {
            ColumnType::Timestamp { zone: zone.as_ref().map(ToString::to_string) }
        }
        _ => return None,
    })
}
