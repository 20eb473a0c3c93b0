//! Whatever a Parquet file holds, in the few types that a dataset has.

use gristmill_types::ColumnType;
use polars::prelude::*;
use rayon::prelude::*;

use crate::read::Source;
use crate::source::DeclaredType;
use crate::zone::Wall;
use crate::{Error, SourceSpec};

/// A column in its canonical type, or the name and the type of one that has none.
type Cast = Result<Column, (String, String)>;

/// Casts every column; those without a column type are left out and named.
pub(crate) fn canonical(raw: DataFrame, name: &str, spec: &SourceSpec) -> Result<Source, Error> {
    for column in spec.columns.keys() {
        if raw.column(column).is_err() {
            let known: Vec<&str> = raw.columns().iter().map(|c| c.name().as_str()).collect();
            return Err(Error::unknown_column(format!("sources.{name}.columns"), column, known));
        }
    }
    let height = raw.height();
    let cast = |column: Column| {
        let column_name = column.name().to_string();
        if column_name.starts_with('_') {
            return Err(Error::SourceColumn {
                source_name: name.to_owned(),
                column: column_name,
                problem: "names that start with `_` are reserved; rename the column".into(),
            });
        }
        let dtype = column.dtype().to_string();
        let caster = Caster { source: name, column: &column_name, declared: spec.columns.get(&column_name) };
        Ok(caster.cast(&column)?.ok_or((column_name, dtype)))
    };
    // Of several problems the first column's is told.
    let all: Vec<Result<Cast, Error>> = raw.into_columns().into_par_iter().map(cast).collect();
    let (mut columns, mut left_out) = (Vec::with_capacity(all.len()), Vec::new());
    for column in all {
        match column? {
            Ok(cast) => columns.push(cast),
            Err(refused) => left_out.push(refused),
        }
    }
    Ok(Source { rows: DataFrame::new(height, columns)?, left_out })
}

/// The canonical engine type of a column type.
pub(crate) fn dtype(column_type: &ColumnType) -> PolarsResult<DataType> {
    Ok(match column_type {
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Int => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Decimal { scale } => DataType::Decimal(38, *scale as usize),
        ColumnType::Text => DataType::String,
        ColumnType::Date => DataType::Date,
        ColumnType::Timestamp { zone } => {
            DataType::Datetime(TimeUnit::Microseconds, TimeZone::opt_try_new(zone.as_deref())?)
        }
    })
}

/// A column in its canonical type, as after a query; none if no column type holds it.
pub(crate) fn canonical_column(column: &Column) -> Result<Option<Column>, Error> {
    let caster = Caster { source: "the query's result", column: column.name(), declared: None };
    caster.cast(column)
}

struct Caster<'a> {
    source: &'a str,
    column: &'a str,
    declared: Option<&'a DeclaredType>,
}

impl Caster<'_> {
    fn problem(&self, problem: impl Into<String>) -> Error {
        Error::SourceColumn {
            source_name: self.source.to_owned(),
            column: self.column.to_owned(),
            problem: problem.into(),
        }
    }

    fn cast(&self, column: &Column) -> Result<Option<Column>, Error> {
        use DataType as D;
        let target = match column.dtype() {
            D::Boolean => D::Boolean,
            D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::UInt8 | D::UInt16 | D::UInt32 => D::Int64,
            D::UInt64 | D::Int128 | D::UInt128 => return self.wide(column).map(Some),
            D::Float16 | D::Float32 | D::Float64 => D::Float64,
            D::Decimal(_, scale) => D::Decimal(38, *scale),
            D::String | D::Null | D::Categorical(..) | D::Enum(..) => D::String,
            D::Date => D::Date,
            D::Datetime(_, zone) => D::Datetime(TimeUnit::Microseconds, zone.clone()),
            _ => return Ok(None),
        };
        let canonical = column.cast(&target)?;
        match self.declared {
            None => Ok(Some(canonical)),
            Some(declared) => self.declare(&canonical, declared).map(Some),
        }
    }

    /// Integers wider than 64 signed bits, refused unless all values fit.
    fn wide(&self, column: &Column) -> Result<Column, Error> {
        if let Some(DeclaredType { column_type: ColumnType::Decimal { scale }, .. }) = self.declared {
            return Ok(column.cast(&DataType::Decimal(38, *scale as usize))?);
        }
        column.strict_cast(&DataType::Int64).map_err(|_| {
            self.problem(format!(
                "holds integers beyond {}, the largest that fits: declare it as decimal(0), or as text where it is written",
                i64::MAX
            ))
        })
    }

    /// Applies a declared type to a canonical column.
    fn declare(&self, column: &Column, declared: &DeclaredType) -> Result<Column, Error> {
        let target = dtype(&declared.column_type)?;
        match (column.dtype(), &target) {
            (DataType::Datetime(_, None), DataType::Datetime(_, Some(zone))) => self.wall(column, declared, zone),
            (DataType::Datetime(_, Some(_)), DataType::Datetime(_, Some(_))) => Ok(column.cast(&target)?),
            (DataType::String, DataType::Datetime(..) | DataType::Boolean | DataType::Decimal(..) | DataType::Date) => {
                self.parse(column, declared)
            }
            (DataType::Float64, DataType::Int64) => {
                let whole = column.cast(&target)?;
                if whole.cast(&DataType::Float64)?.equal_missing(column)?.all() {
                    Ok(whole)
                } else {
                    Err(self.problem("is declared int but holds fractions: declare float"))
                }
            }
            _ => column.strict_cast(&target).map_err(|error| {
                self.problem(format!(
                    "cannot be read as {}: {}",
                    declared.column_type,
                    crate::error::first_line(&error.to_string())
                ))
            }),
        }
    }

    fn wall(&self, column: &Column, declared: &DeclaredType, zone: &TimeZone) -> Result<Column, Error> {
        let wall = Wall::new(declared.wall_zone().unwrap_or("UTC")).map_err(|problem| self.problem(problem))?;
        let naive = column.as_materialized_series().datetime()?.physical().clone();
        let mut utc = Vec::with_capacity(naive.len());
        // Moments come in runs, and a zone's rules are slow to ask.
        let mut last = None;
        for (row, value) in naive.iter().enumerate() {
            let converted = match (value, last) {
                (None, _) => None,
                (Some(micros), Some((before, utc))) if micros == before => Some(utc),
                (Some(micros), _) => {
                    let utc = wall.to_utc(micros).map_err(|problem| Error::Cell {
                        source_name: self.source.to_owned(),
                        line: row as u64 + 1,
                        column: self.column.to_owned(),
                        problem,
                    })?;
                    last = Some((micros, utc));
                    Some(utc)
                }
            };
            utc.push(converted);
        }
        let utc = Int64Chunked::from_iter_options(column.name().clone(), utc.into_iter());
        Ok(utc.into_datetime(TimeUnit::Microseconds, Some(zone.clone())).into_series().into_column())
    }

    fn parse(&self, column: &Column, declared: &DeclaredType) -> Result<Column, Error> {
        let mut builder = crate::csv::build::Builder::new(self.column, declared.column_type.clone(), Some(declared))
            .map_err(|problem| self.problem(problem))?;
        for (row, value) in column.as_materialized_series().str()?.iter().enumerate() {
            match value {
                None => builder.push_null(),
                Some(text) => builder.push(text).map_err(|problem| Error::Cell {
                    source_name: self.source.to_owned(),
                    line: row as u64 + 1,
                    column: self.column.to_owned(),
                    problem,
                })?,
            }
        }
        Ok(builder.finish(self.column)?)
    }
}
