//! A source file as a table of canonical types.

use std::fs::File;
use std::path::Path;

use gristmill_types::{Column, Columns};
use polars::prelude::DataFrame;

use crate::source::{DeclaredType, FileFormat};
use crate::{Bounds, Error, SourceSpec};

/// Reads one local file as plain columns. Naive timestamps are kept as they are, so that a profile
/// can show them; an integration refuses them.
///
/// `name` stands for the source in messages.
///
/// # Errors
/// Whatever is wrong with the file, with line and column.
pub fn read_file(path: &Path, name: &str, spec: &SourceSpec, bounds: &Bounds) -> Result<Columns, Error> {
    spec.check(name)?;
    let source = read_source(path, name, spec, bounds)?;
    crate::convert::to_columns(&source.rows)
}

/// A source after reading.
pub(crate) struct Source {
    /// Canonical types only.
    pub rows: DataFrame,
    /// Columns left out because no column type holds them: name and the file's type.
    pub left_out: Vec<(String, String)>,
}

pub(crate) fn read_source(path: &Path, name: &str, spec: &SourceSpec, bounds: &Bounds) -> Result<Source, Error> {
    let opened = File::open(path).and_then(|file| {
        if file.metadata()?.is_dir() {
            return Err(std::io::Error::from(std::io::ErrorKind::IsADirectory));
        }
        Ok(file)
    });
    let mut file =
        opened.map_err(|error| Error::Open { source_name: name.to_owned(), detail: error.kind().to_string() })?;
    let damaged = |error: std::io::Error| Error::Damaged { source_name: name.to_owned(), detail: error.to_string() };
    if file.metadata().map_err(damaged)?.len() == 0 {
        return Err(Error::Empty { source_name: name.to_owned() });
    }
    let parquet = match spec.format {
        FileFormat::Parquet => true,
        FileFormat::Csv => false,
        FileFormat::Auto => {
            let mut magic = [0; 4];
            crate::csv::read_up_to(&mut file, &mut magic).map_err(damaged)?;
            &magic == b"PAR1"
        }
    };
    if parquet {
        let raw = crate::parquet::read_raw(file, name, bounds)?;
        crate::canonical::canonical(raw, name, spec)
    } else {
        Ok(Source { rows: crate::csv::read(&mut file, name, spec, bounds)?, left_out: Vec::new() })
    }
}

/// The first naive timestamp column, as the error that refuses it.
pub(crate) fn refuse_naive(rows: &DataFrame, name: &str) -> Result<(), Error> {
    for column in rows.columns() {
        if matches!(column.dtype(), polars::prelude::DataType::Datetime(_, None)) {
            return Err(Error::NaiveTimestamp { source_name: name.to_owned(), column: column.name().to_string() });
        }
    }
    Ok(())
}

pub(crate) fn too_many_rows(name: &str, limit: u64) -> Error {
    Error::Limit {
        what: format!("source `{name}` has too many rows"),
        limit: format!("{limit} rows"),
        advice: "split it by time, or aggregate it first".into(),
    }
}

/// Casts columns to the types of a signature where only the spelling differs, for rows that people
/// hand in: an int where a float is meant, text that holds a number.
///
/// # Errors
/// [`Error::Cell`] naming the row and the column.
pub fn column_as(column: &Column, declared: &DeclaredType, name: &str) -> Result<Column, Error> {
    let mut builder =
        crate::csv::build::Builder::new(&column.name, declared.column_type.clone(), Some(declared)).map_err(
            |problem| Error::SourceColumn { source_name: name.to_owned(), column: column.name.clone(), problem },
        )?;
    let mut text = String::new();
    for row in 0..column.len() {
        text.clear();
        if !crate::csv::write::put_cell(&mut text, column, row) {
            builder.push_null();
            continue;
        }
        builder.push(&text).map_err(|problem| Error::Cell {
            source_name: name.to_owned(),
            line: row as u64 + 1,
            column: column.name.clone(),
            problem,
        })?;
    }
    let rows = DataFrame::new_infer_height(vec![builder.finish(&column.name)?])?;
    let columns = crate::convert::to_columns(&rows)?;
    columns.into_columns().pop().ok_or_else(|| Error::engine("a column was lost"))
}
