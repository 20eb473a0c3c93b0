//! Parquet in, and Parquet out with the same bytes every time.

use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use gristmill_types::Columns;
use polars::prelude::{DataFrame, ParquetCompression, ParquetReader, ParquetWriter, SerReader as _, StatisticsOptions};

use crate::{Bounds, Error};

/// Rows of a row group; part of the format, since it decides the bytes.
pub const ROW_GROUP: usize = 65_536;
/// Bytes of a data page; part of the format, as is zstd at its default level.
pub const PAGE_BYTES: usize = 1 << 20;

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
/// [`Error::Write`] when the writer fails.
pub fn write_parquet(columns: &Columns, to: impl Write) -> Result<u64, Error> {
    write_frame(crate::convert::from_columns(columns)?, to)
}

pub(crate) fn write_frame(mut rows: DataFrame, to: impl Write) -> Result<u64, Error> {
    // How a table is chunked in memory depends on the query and on threads; one chunk does not.
    rows.rechunk_mut();
    ParquetWriter::new(to)
        .with_compression(ParquetCompression::Zstd(None))
        .with_statistics(StatisticsOptions::default())
        .with_row_group_size(Some(ROW_GROUP))
        .with_data_page_size(Some(PAGE_BYTES))
        .finish(&mut rows)
        .map_err(Error::write)
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
