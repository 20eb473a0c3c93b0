//! Delimited text: two passes, one to learn the types and one to take the values, so that every
//! value is checked and an error names its line.

pub(crate) mod build;
pub(crate) mod cell;
pub(crate) mod guess;
pub(crate) mod records;
pub(crate) mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;
use gristmill_types::ColumnType;
use polars::prelude::{Column, DataFrame};

use crate::source::DeclaredType;
use crate::{Bounds, Error, SourceSpec};
use build::Builder;
use guess::Guess;
use records::{Record, Records};

/// Reads a whole CSV file.
pub(crate) fn read(file: &mut File, name: &str, spec: &SourceSpec, bounds: &Bounds) -> Result<DataFrame, Error> {
    let reader = Reader { name, spec, bounds };
    let columns = reader.learn(open(file, name)?)?;
    reader.take(open(file, name)?, &columns)
}

struct Reader<'a> {
    name: &'a str,
    spec: &'a SourceSpec,
    bounds: &'a Bounds,
}

/// A column's name and the type it will have.
struct Learned {
    name: String,
    column_type: ColumnType,
}

/// The file from its beginning, decompressed if it is gzip.
fn open<'f>(file: &'f mut File, name: &str) -> Result<Box<dyn Read + 'f>, Error> {
    let damaged = |error: std::io::Error| Error::Damaged { source_name: name.to_owned(), detail: error.to_string() };
    let mut magic = [0; 2];
    file.seek(SeekFrom::Start(0)).map_err(damaged)?;
    let count = read_up_to(file, &mut magic).map_err(damaged)?;
    file.seek(SeekFrom::Start(0)).map_err(damaged)?;
    let input = BufReader::with_capacity(1 << 18, file);
    Ok(if count == 2 && magic == [0x1F, 0x8B] { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) })
}

/// Fills as much of `buffer` as the file has.
pub(crate) fn read_up_to(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

impl Reader<'_> {
    fn records<R: Read>(&self, input: R) -> Records<R> {
        Records::new(input, self.name, &self.spec.csv, self.bounds.cell_bytes, self.bounds.source_bytes)
    }

    fn line(&self, line: u64, problem: impl Into<String>) -> Error {
        Error::Line { source_name: self.name.to_owned(), line, problem: problem.into() }
    }

    fn is_null(&self, text: &str) -> bool {
        text.is_empty() || self.spec.csv.null_values.iter().any(|null| null == text)
    }

    /// Names from the first record, checked; without a header that record holds values already.
    fn names(&self, first: &Record) -> Result<Vec<String>, Error> {
        if first.len() > self.bounds.columns {
            return Err(Error::Limit {
                what: format!("source `{}` has {} columns", self.name, first.len()),
                limit: format!("{} columns", self.bounds.columns),
                advice: "keep only the columns you need".into(),
            });
        }
        if !self.spec.csv.header {
            return Ok((1..=first.len()).map(|n| format!("column_{n}")).collect());
        }
        let names: Vec<String> = first
            .fields()
            .enumerate()
            .map(|(index, text)| match text.trim() {
                "" => format!("column_{}", index + 1),
                name => name.to_owned(),
            })
            .collect();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, name) in names.iter().enumerate() {
            if let Some(before) = seen.insert(name, index) {
                return Err(self.line(
                    first.line,
                    format!(
                        "the header names column `{name}` twice (columns {} and {}): give each column a name of its own",
                        before + 1,
                        index + 1
                    ),
                ));
            }
            if name.starts_with('_') {
                return Err(self.line(
                    first.line,
                    format!("column `{name}`: names that start with `_` are reserved; rename the column"),
                ));
            }
        }
        if let [only] = names.as_slice()
            && let Some(delimiter) = [';', '\t', '|', ','].into_iter().find(|d| only.contains(*d))
            && delimiter != self.spec.csv.delimiter
        {
            return Err(self.line(
                first.line,
                format!("the header is one column named `{}`: the file seems to be separated by {delimiter:?}; declare `delimiter: {delimiter:?}`", only.chars().take(60).collect::<String>()),
            ));
        }
        self.check_declared(&names)?;
        Ok(names)
    }

    fn check_declared(&self, names: &[String]) -> Result<(), Error> {
        for column in self.spec.columns.keys() {
            if !names.contains(column) {
                return Err(Error::unknown_column(
                    format!("sources.{}.columns", self.name),
                    column,
                    names.iter().map(String::as_str),
                ));
            }
        }
        Ok(())
    }

    /// Whether the record is one of values; an error if it has too many or too few.
    fn is_row(&self, record: &Record, width: usize) -> Result<bool, Error> {
        if record.len() == width && !(width > 1 && record.is_blank()) {
            return Ok(true);
        }
        if record.is_blank() {
            return Ok(false);
        }
        let declare = if self.spec.csv.header { "the header names" } else { "the first line has" };
        Err(self.line(
            record.line,
            format!(
                "{} fields where {declare} {width}: quote fields that hold the delimiter, and fill in what is missing",
                record.len()
            ),
        ))
    }

    /// First pass: names, and types of columns that are not declared, from the first
    /// `sample_bytes` (of most files: all).
    fn learn(&self, input: impl Read) -> Result<Vec<Learned>, Error> {
        let empty = || Error::Empty { source_name: self.name.to_owned() };
        let mut records = self.records(input);
        let mut record = Record::default();
        loop {
            if !records.next(&mut record)? {
                return Err(empty());
            }
            if !record.is_blank() {
                break;
            }
        }
        let names = self.names(&record)?;
        let declared: Vec<Option<&DeclaredType>> = names.iter().map(|name| self.spec.columns.get(name)).collect();
        let mut guesses = vec![Guess::default(); names.len()];
        let mut rows = 0_u64;
        let mut has_row = !self.spec.csv.header || records.next(&mut record)?;
        while has_row {
            if self.is_row(&record, names.len())? {
                rows += 1;
                for (index, guess) in guesses.iter_mut().enumerate() {
                    let text = record.field(index);
                    if declared.get(index).is_some_and(Option::is_none) && !self.is_null(text) {
                        guess.see(text);
                    }
                }
            }
            has_row = records.bytes_read() <= self.bounds.sample_bytes && records.next(&mut record)?;
        }
        if rows == 0 {
            return Err(empty());
        }
        let types = declared.iter().zip(&guesses).map(|(declared, guess)| match declared {
            Some(declared) => declared.column_type.clone(),
            None => guess.column_type(),
        });
        Ok(names.iter().zip(types).map(|(name, column_type)| Learned { name: name.clone(), column_type }).collect())
    }

    /// Second pass: the values.
    fn take(&self, input: impl Read, columns: &[Learned]) -> Result<DataFrame, Error> {
        let mut builders = Vec::with_capacity(columns.len());
        for column in columns {
            let declared = self.spec.columns.get(&column.name);
            let builder = Builder::new(&column.name, column.column_type.clone(), declared).map_err(|problem| {
                Error::SourceColumn { source_name: self.name.to_owned(), column: column.name.clone(), problem }
            })?;
            builders.push(builder);
        }
        let mut records = self.records(input);
        let mut record = Record::default();
        let mut header = self.spec.csv.header;
        let mut rows = 0_u64;
        while records.next(&mut record)? {
            if header {
                header = record.is_blank();
                continue;
            }
            if !self.is_row(&record, columns.len())? {
                continue;
            }
            rows += 1;
            if rows > self.bounds.rows {
                return Err(crate::read::too_many_rows(self.name, self.bounds.rows));
            }
            for (index, (builder, column)) in builders.iter_mut().zip(columns).enumerate() {
                let text = record.field(index);
                if self.is_null(text) {
                    builder.push_null();
                } else {
                    builder.push(text).map_err(|problem| Error::Cell {
                        source_name: self.name.to_owned(),
                        line: record.line,
                        column: column.name.clone(),
                        problem,
                    })?;
                }
            }
        }
        let finished: Vec<Column> =
            builders.into_iter().zip(columns).map(|(b, c)| b.finish(&c.name)).collect::<Result<_, _>>()?;
        Ok(DataFrame::new_infer_height(finished)?)
    }
}
