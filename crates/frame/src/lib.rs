#![doc = include_str!("../README.md")]

mod bounds;
mod canonical;
pub mod child;
mod convert;
mod csv;
mod engine;
mod error;
mod integration;
mod join;
mod parquet;
mod read;
mod report;
mod row_key;
mod run;
mod source;
mod sql;
mod table;
mod zone;

pub use bounds::Bounds;
pub use convert::{from_columns, to_columns};
pub use csv::write::write_csv;
pub use engine::in_engine_threads;
pub use error::Error;
pub use integration::{AsOf, Derived, INPUT, Integration, Join, JoinKey, MIN_MATCHED, Step};
pub use join::JoinReport;
pub use parquet::{PAGE_BYTES, ROW_GROUP, read_parquet, write_parquet};
pub use read::{column_as, read_file};
pub use report::{ColumnReport, Report, SourceReport};
pub use row_key::row_keys;
pub use run::{Job, ROW_KEY, SourceFile, UNIT};
pub use source::{Availability, CsvOptions, DeclaredType, Encoding, FileFormat, SourceSpec};
