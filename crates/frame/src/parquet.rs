//! Parquet in, and Parquet out with the same bytes every time.

use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use gristmill_types::{Columns, Field};
use polars::prelude::{
    ArrowSchema, Column, CompatLevel, DataFrame, ParquetReader, PlSmallStr, PolarsResult, SerReader as _,
};
use polars_parquet::read::ParquetError;
use polars_parquet::read::fallible_streaming_iterator::convert;
use polars_parquet::write::{
    CompressedPage, CompressionOptions, Compressor, DynIter, DynStreamingIterator, FileWriter, ParquetType,
    StatisticsOptions, Version, WriteOptions, array_to_columns, get_dtype_encoding, to_parquet_schema,
};
use rayon::prelude::*;

use crate::{Bounds, Error};

/// Rows of a row group; part of the format, since it decides the bytes.
pub const ROW_GROUP: usize = 65_536;
/// Bytes of a data page; part of the format, as is zstd at its default level.
pub const PAGE_BYTES: usize = 1 << 20;
/// How columns are encoded; part of the format too.
const OPTIONS: WriteOptions = WriteOptions {
    statistics: StatisticsOptions {
        min_value: true,
        max_value: true,
        distinct_count: false,
        null_count: true,
        binary_statistics_truncate_length: None,
    },
    version: Version::V1,
    compression: CompressionOptions::Zstd(None),
    data_page_size: Some(PAGE_BYTES),
};

/// Reads a Parquet file that `store` holds, such as a dataset's rows.
///
/// # Errors
/// [`Error::Open`] and [`Error::Damaged`].
pub fn read_parquet(path: &Path) -> Result<Columns, Error> {
    let name = "rows.parquet";
    let file = File::open(path)
        .map_err(|error| Error::Open { source_name: name.to_owned(), detail: error.kind().to_string() })?;
    crate::convert::to_columns(&read_raw(file, name, &Bounds::default())?)
}

/// Writes plain columns as Parquet; equal columns give equal bytes at any thread count.
///
/// # Errors
/// [`Error::Table`] for a zone or a scale that the engine does not know, [`Error::Write`] when the writer fails.
pub fn write_parquet(columns: &Columns, to: impl Write) -> Result<u64, Error> {
    let fields = columns.fields();
    let plain = columns.columns();
    let make = |at: usize| match plain.get(at) {
        Some(column) => crate::convert::from_column(column).map_err(crate::convert::table_error),
        None => Err(Error::engine("a column was lost")),
    };
    write_made(&fields, columns.rows(), make, to)
}

/// Writes the columns that `make` gives, by place. Columns are made, encoded and compressed side by side and each is
/// dropped when it is encoded, so that no whole table need be in memory beside its compressed form.
pub(crate) fn write_made(
    fields: &[Field],
    rows: usize,
    make: impl Fn(usize) -> Result<Column, Error> + Sync,
    to: impl Write,
) -> Result<u64, Error> {
    let schema = arrow_schema(fields)?;
    let parquet = to_parquet_schema(&schema).map_err(Error::write)?;
    let encoded = parquet
        .fields()
        .par_iter()
        .enumerate()
        .map(|(at, parquet_type)| {
            let column = make(at)?;
            if column.len() != rows {
                return Err(Error::engine("a column has another length than its table"));
            }
            encode(&column, parquet_type)
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let mut writer = FileWriter::try_new(to, schema, OPTIONS).map_err(Error::write)?;
    for (group, from) in (0..rows).step_by(ROW_GROUP).enumerate() {
        let pages = encoded.iter().map(|groups| {
            let pages = groups.get(group).map(Vec::as_slice).unwrap_or_default();
            Ok(DynStreamingIterator::new(convert(pages.iter().map(PolarsResult::Ok))))
        });
        let height = ROW_GROUP.min(rows - from) as u64;
        writer.write(height, DynIter::new(pages)).map_err(Error::write)?;
    }
    writer.end(None).map_err(Error::write)
}

/// One column's pages, by row group.
fn encode(column: &Column, parquet_type: &ParquetType) -> Result<Vec<Vec<CompressedPage>>, Error> {
    // How a column is chunked in memory depends on the query and on threads; one chunk does not.
    let series = column.as_materialized_series().rechunk();
    let group = |from: usize| {
        let part = series.slice(i64::try_from(from).unwrap_or(i64::MAX), ROW_GROUP).rechunk();
        let array = part.to_arrow(0, CompatLevel::newest());
        let encodings = get_dtype_encoding(array.dtype());
        let mut pages = Vec::new();
        for encoded in array_to_columns(array, parquet_type.clone(), OPTIONS, &encodings).map_err(Error::write)? {
            let encoded =
                encoded.map(|page| page.map_err(|error| ParquetError::FeatureNotSupported(error.to_string())));
            for page in Compressor::new_from_vec(encoded, OPTIONS.compression, Vec::new()) {
                pages.push(page.map_err(Error::write)?);
            }
        }
        Ok(pages)
    };
    (0..series.len()).step_by(ROW_GROUP).map(group).collect()
}

fn arrow_schema(fields: &[Field]) -> Result<ArrowSchema, Error> {
    let field = |field: &Field| {
        let name: PlSmallStr = field.name.as_str().into();
        let dtype = crate::canonical::dtype(&field.column_type).map_err(crate::convert::table_error)?;
        Ok((name.clone(), dtype.to_arrow_field(name, CompatLevel::newest())))
    };
    fields.iter().map(field).collect()
}

pub(crate) fn read_raw(file: File, name: &str, bounds: &Bounds) -> Result<DataFrame, Error> {
    let damaged =
        |detail: &str| Error::Damaged { source_name: name.to_owned(), detail: crate::error::first_line(detail) };
    let read = || -> Result<DataFrame, Error> {
        let mut reader = ParquetReader::new(file);
        let metadata = reader.get_metadata().map_err(|error| damaged(&error.to_string()))?.clone();
        if metadata.num_rows as u64 > bounds.rows {
            return Err(crate::read::too_many_rows(name, bounds.rows));
        }
        let width = reader.schema().map_err(|error| damaged(&error.to_string()))?.len();
        if width > bounds.columns {
            return Err(Error::Limit {
                what: format!("source `{name}` has {width} columns"),
                limit: format!("{} columns", bounds.columns),
                advice: "keep only the columns you need".into(),
            });
        }
        reader.finish().map_err(|error| damaged(&error.to_string()))
    };
    // The decoder panics on some damaged files.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(damaged("the file is not valid Parquet")))
}
