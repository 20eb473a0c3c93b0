//! The engine's tables ⇄ plain columns.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use gristmill_types::{Column, ColumnType, Columns, Text, Values};
use polars::prelude::{
    BooleanChunked, ChunkTake as _, ChunkedArray, Column as PolarsColumn, DataFrame, DataType, Float64Chunked, IdxCa,
    Int32Chunked, Int64Chunked, Int128Chunked, IntoColumn as _, IntoSeries as _, NewChunkedArray as _, PlSmallStr,
    PolarsError, PolarsNumericType, PolarsResult, StringChunked, TimeUnit, TimeZone,
};
use polars_arrow::array::{Array as _, BooleanArray};
use polars_arrow::bitmap::Bitmap;
use rayon::prelude::*;

use crate::Error;
use crate::canonical::canonical_column;

/// Plain columns of a table. Integers of every width become [`Values::Int`] (those beyond 64 signed
/// bits are refused), floats [`Values::Float`], categories [`Values::Text`], datetimes of every unit
/// microseconds (finer digits are cut off).
///
/// # Errors
/// [`Error::SourceColumn`] for a column that no column type holds.
pub fn to_columns(rows: &DataFrame) -> Result<Columns, Error> {
    let columns = rows.columns().par_iter().map(to_column).collect::<Result<Vec<_>, _>>()?;
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
        DataType::Boolean => bools(name, series.bool()?),
        DataType::Int64 => numbers(name, series.i64()?, Values::Int),
        DataType::Float64 => numbers(name, series.f64()?, Values::Float),
        DataType::Decimal(_, scale) => {
            let scale = u32::try_from(*scale).unwrap_or(u32::MAX);
            numbers(name, series.decimal()?.physical(), |unscaled| Values::Decimal { scale, unscaled })
        }
        DataType::Date => numbers(name, series.date()?.physical(), Values::Date),
        DataType::Datetime(_, zone) => {
            let zone = zone.as_ref().map(ToString::to_string);
            numbers(name, series.datetime()?.physical(), |micros| Values::Timestamp { zone, micros })
        }
        _ => texts(name, series.str()?),
    })
}

fn bools(name: String, rows: &BooleanChunked) -> Column {
    let (values, valid) = rows.iter().map(|row| (row.unwrap_or_default(), row.is_some())).unzip();
    Column::with_valid(name, Values::Bool(values), valid)
}

fn numbers<T: PolarsNumericType>(
    name: String,
    rows: &ChunkedArray<T>,
    values: impl FnOnce(Vec<T::Native>) -> Values,
) -> Column {
    let mut taken: Vec<T::Native> = Vec::with_capacity(rows.len());
    for chunk in rows.downcast_iter() {
        taken.extend_from_slice(chunk.values());
    }
    if rows.null_count() == 0 {
        return Column::new(name, values(taken));
    }
    let mut valid = Vec::with_capacity(rows.len());
    for chunk in rows.downcast_iter() {
        match chunk.validity() {
            Some(bits) => valid.extend(bits.iter()),
            None => valid.resize(valid.len() + chunk.len(), true),
        }
    }
    // The engine leaves at null rows whatever was there.
    for (value, _) in taken.iter_mut().zip(&valid).filter(|(_, valid)| !**valid) {
        *value = T::Native::default();
    }
    Column::with_valid(name, values(taken), valid)
}

/// Text by its distinct values in order of first appearance, as [`Text::from_rows`] gives it. Equal views of a chunk
/// are equal text, which spares most rows the comparison of bytes.
fn texts(name: String, rows: &StringChunked) -> Column {
    let mut text = Text { codes: Vec::with_capacity(rows.len()), values: Vec::new() };
    let mut valid: Option<Vec<bool>> = (rows.null_count() > 0).then(|| Vec::with_capacity(rows.len()));
    let mut by_text: HashMap<&str, u32, FixedState> = HashMap::default();
    for chunk in rows.downcast_iter() {
        let mut by_view: HashMap<u128, u32, FixedState> = HashMap::default();
        let bits = chunk.validity();
        for (row, view) in chunk.views().iter().enumerate() {
            let present = bits.is_none_or(|bits| bits.get(row) == Some(true));
            if let Some(valid) = &mut valid {
                valid.push(present);
            }
            let mut number = || {
                let value = chunk.value(row);
                *by_text.entry(value).or_insert_with(|| {
                    text.values.push(value.to_owned());
                    // At most one value per row, and rows are counted in u32 codes.
                    u32::try_from(text.values.len() - 1).unwrap_or(u32::MAX)
                })
            };
            text.codes.push(if present { *by_view.entry(view.as_u128()).or_insert_with(&mut number) } else { 0 });
        }
    }
    Column { name, values: Values::Text(text), valid }
}

/// A table of the engine.
///
/// # Errors
/// [`Error::Table`] for a zone or a scale that the engine does not know.
pub fn from_columns(columns: &Columns) -> Result<DataFrame, Error> {
    let converted = columns.columns().par_iter().map(from_column).collect::<PolarsResult<Vec<_>>>();
    Ok(DataFrame::new(columns.rows(), converted.map_err(table_error)?)?)
}

pub(crate) fn table_error(error: PolarsError) -> Error {
    Error::Table { detail: crate::error::first_line(&error.to_string()) }
}

/// One column of the engine.
pub(crate) fn from_column(column: &Column) -> PolarsResult<PolarsColumn> {
    let name: PlSmallStr = column.name.as_str().into();
    let valid = || column.valid.as_deref().map(|valid| Bitmap::from_iter(valid.iter().copied()));
    let series = match &column.values {
        Values::Bool(v) => {
            BooleanChunked::with_chunk(name, BooleanArray::from_slice(v).with_validity(valid())).into_series()
        }
        Values::Int(v) => Int64Chunked::from_vec_validity(name, v.clone(), valid()).into_series(),
        Values::Float(v) => Float64Chunked::from_vec_validity(name, v.clone(), valid()).into_series(),
        Values::Decimal { scale, unscaled } => Int128Chunked::from_vec_validity(name, unscaled.clone(), valid())
            .into_decimal(38, *scale as usize)?
            .into_series(),
        Values::Text(text) => {
            // Rows share the bytes of the distinct values.
            let values = StringChunked::from_iter_values(name, text.values.iter().map(String::as_str));
            let codes = IdxCa::from_vec_validity(PlSmallStr::EMPTY, text.codes.clone(), valid());
            values.take(&codes)?.into_series()
        }
        Values::Date(v) => Int32Chunked::from_vec_validity(name, v.clone(), valid()).into_date().into_series(),
        Values::Timestamp { zone, micros } => Int64Chunked::from_vec_validity(name, micros.clone(), valid())
            .into_datetime(TimeUnit::Microseconds, TimeZone::opt_try_new(zone.as_deref())?)
            .into_series(),
    };
    Ok(series.into_column())
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
