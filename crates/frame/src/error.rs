//! What can be wrong with sources, SQL and joins; also crosses from the child process to its parent.

use gristmill_types::{ColumnsError, ErrorCode};
use serde::{Deserialize, Serialize};

/// Why a table could not be read, joined or written. No message holds a path of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Error {
    /// The file is not there or cannot be opened.
    #[error("source `{source_name}` cannot be opened ({detail}): check the file's name and its permissions")]
    Open {
        /// Source.
        source_name: String,
        /// The system's words, without the path.
        detail: String,
    },
    /// Reading failed midway.
    #[error(
        "source `{source_name}` cannot be read to its end ({detail}): the file is damaged or truncated; copy it again"
    )]
    Damaged {
        /// Source.
        source_name: String,
        /// What the decoder said.
        detail: String,
    },
    /// There is nothing in the file.
    #[error("source `{source_name}` is empty: a CSV file needs a header line and at least one row of values")]
    Empty {
        /// Source.
        source_name: String,
    },
    /// A line that is not what the format asks for.
    #[error("source `{source_name}`, line {line}: {problem}")]
    Line {
        /// Source.
        source_name: String,
        /// Line in the file, from 1.
        line: u64,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A value that is not of its column's type.
    #[error("source `{source_name}`, line {line}, column `{column}`: {problem}")]
    Cell {
        /// Source.
        source_name: String,
        /// Line (CSV) or row (Parquet), from 1.
        line: u64,
        /// Column.
        column: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A column that cannot be used as it is.
    #[error("source `{source_name}`, column `{column}`: {problem}")]
    SourceColumn {
        /// Source.
        source_name: String,
        /// Column.
        column: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A wall-clock time without a zone.
    #[error(
        "source `{source_name}`, column `{column}` holds timestamps without a time zone: declare the zone they were written in, as `{column}: timestamp[America/New_York]` under `columns` of the source (or `{column}: timestamp[America/New_York] from UTC` if they were written in UTC and calendar days are New York's)"
    )]
    NaiveTimestamp {
        /// Source.
        source_name: String,
        /// Column.
        column: String,
    },
    /// The specification contradicts itself or names what is not there.
    #[error("{field}: {problem}")]
    Spec {
        /// Path of the field, such as `integration.steps[2].on`.
        field: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// SQL that is not allowed or not understood.
    #[error("{field}: SQL {problem}")]
    Sql {
        /// Path of the field.
        field: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A table that is not registered.
    #[error("{field}: there is no table `{table}`{suggestion}; tables here are {known}")]
    UnknownTable {
        /// Path of the field.
        field: String,
        /// As written.
        table: String,
        /// ` (did you mean …?)` or empty.
        suggestion: String,
        /// Names that exist.
        known: String,
    },
    /// A column that is not there.
    #[error("{field}: there is no column `{column}`{suggestion}")]
    UnknownColumn {
        /// Path of the field.
        field: String,
        /// As written.
        column: String,
        /// ` (did you mean …?)` or empty.
        suggestion: String,
    },
    /// A join that makes more rows than there were events.
    #[error(
        "{field}: {rows} rows of the table so far match more than one row of `{table}`, so the join would multiply them from {rows_in} to {rows_out}: join on a key that is unique in `{table}`, aggregate it first, or set `allow_multiple`"
    )]
    Multiplies {
        /// Path of the field.
        field: String,
        /// Right-hand table.
        table: String,
        /// Rows that match several.
        rows: u64,
        /// Rows before.
        rows_in: u64,
        /// Rows after.
        rows_out: u64,
    },
    /// A join that misses or drops too many rows.
    #[error(
        "{field}: only {matched} of {rows_in} rows match `{table}` ({percent}), fewer than the {least} asked for: check the keys' spelling and types and the tolerance, or lower `min_matched`"
    )]
    Misses {
        /// Path of the field.
        field: String,
        /// Right-hand table.
        table: String,
        /// Rows that match.
        matched: u64,
        /// Rows before.
        rows_in: u64,
        /// Matched share, as `12.3 %`.
        percent: String,
        /// Least share.
        least: String,
    },
    /// A query that drops most rows through its join.
    #[error(
        "{field}: the join keeps only {kept} of {rows_in} rows of `{table}`: use a LEFT JOIN, correct the condition, or say in WHERE which rows are meant"
    )]
    Drops {
        /// Path of the field.
        field: String,
        /// First table of the query.
        table: String,
        /// Its rows that survive.
        kept: u64,
        /// Its rows.
        rows_in: u64,
    },
    /// A feature from the future.
    #[error(
        "column `{column}` comes from `{origin}`, which {why}: it cannot be a feature; join `{origin}` as-of (`as_of`), declare its availability, or leave the column out"
    )]
    NotAvailable {
        /// Column of the dataset.
        column: String,
        /// Source it comes from.
        origin: String,
        /// By how much, or why it cannot be known.
        why: String,
    },
    /// Over a limit.
    #[error("{what}: the limit is {limit}; {advice}")]
    Limit {
        /// What was too big.
        what: String,
        /// The limit with its unit.
        limit: String,
        /// What to do.
        advice: String,
    },
    /// The child needed more memory than it may have.
    #[error(
        "the integration needs more than {mebibytes} MiB of memory: select fewer columns, join on narrower keys, or raise the limit of the ingestion worker"
    )]
    Memory {
        /// The limit.
        mebibytes: u64,
    },
    /// The child took longer than it may.
    #[error(
        "the integration took longer than {seconds} s and was stopped: look for a join without a condition, or raise the limit of the ingestion worker"
    )]
    Timeout {
        /// The limit.
        seconds: u64,
    },
    /// Stopped on request.
    #[error("the integration was cancelled")]
    Cancelled,
    /// The child ended without an answer.
    #[error("the integration process ended unexpectedly ({detail})")]
    Child {
        /// Exit code or signal.
        detail: String,
    },
    /// The query engine failed where it should not.
    #[error("the query engine failed: {detail}")]
    Engine {
        /// The engine's words.
        detail: String,
    },
    /// Writing failed.
    #[error("rows cannot be written ({detail}): free disk space and try again")]
    Write {
        /// The system's words, without the path.
        detail: String,
    },
    /// Columns that do not make a table.
    #[error("{detail}")]
    Table {
        /// What is wrong.
        detail: String,
    },
}

impl Error {
    /// The class of the error.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Open { .. } => ErrorCode::NotFound,
            Self::Limit { .. } | Self::Memory { .. } => ErrorCode::ResourceExhausted,
            Self::Timeout { .. } => ErrorCode::DeadlineExceeded,
            Self::Cancelled => ErrorCode::Cancelled,
            Self::Child { .. } | Self::Engine { .. } => ErrorCode::Internal,
            Self::Write { .. } => ErrorCode::Unavailable,
            Self::Multiplies { .. } | Self::Misses { .. } | Self::Drops { .. } | Self::NotAvailable { .. } => {
                ErrorCode::FailedPrecondition
            }
            _ => ErrorCode::InvalidArgument,
        }
    }

    /// A stable name for the kind of error.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Open { .. } => "SOURCE_NOT_FOUND",
            Self::Damaged { .. } => "SOURCE_DAMAGED",
            Self::Empty { .. } => "SOURCE_EMPTY",
            Self::Line { .. } => "SOURCE_LINE",
            Self::Cell { .. } => "SOURCE_CELL",
            Self::SourceColumn { .. } => "SOURCE_COLUMN",
            Self::NaiveTimestamp { .. } => "NAIVE_TIMESTAMP",
            Self::Spec { .. } => "INTEGRATION_SPEC",
            Self::Sql { .. } => "SQL_REFUSED",
            Self::UnknownTable { .. } => "UNKNOWN_TABLE",
            Self::UnknownColumn { .. } => "UNKNOWN_COLUMN",
            Self::Multiplies { .. } => "JOIN_MULTIPLIES",
            Self::Misses { .. } => "JOIN_MISSES",
            Self::Drops { .. } => "JOIN_DROPS",
            Self::NotAvailable { .. } => "NOT_AVAILABLE",
            Self::Limit { .. } => "LIMIT",
            Self::Memory { .. } => "MEMORY_LIMIT",
            Self::Timeout { .. } => "TIME_LIMIT",
            Self::Cancelled => "CANCELLED",
            Self::Child { .. } => "CHILD_DIED",
            Self::Engine { .. } => "ENGINE",
            Self::Write { .. } => "WRITE",
            Self::Table { .. } => "TABLE",
        }
    }

    /// An error of the engine, kept to its first line.
    pub(crate) fn engine(error: impl std::fmt::Display) -> Self {
        Self::Engine { detail: first_line(&error.to_string()) }
    }

    pub(crate) fn write(error: impl std::fmt::Display) -> Self {
        Self::Write { detail: first_line(&error.to_string()) }
    }

    pub(crate) fn spec(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Spec { field: field.into(), problem: problem.into() }
    }

    pub(crate) fn unknown_column<'a>(
        field: impl Into<String>,
        column: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::UnknownColumn {
            field: field.into(),
            column: column.chars().take(80).collect(),
            suggestion: suggestion(column, known),
        }
    }

    pub(crate) fn unknown_table<'a>(
        field: impl Into<String>,
        table: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        Self::UnknownTable {
            field: field.into(),
            table: table.chars().take(80).collect(),
            suggestion: suggestion(table, known.iter().copied()),
            known: known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        }
    }
}

impl From<polars::error::PolarsError> for Error {
    fn from(error: polars::error::PolarsError) -> Self {
        Self::engine(error)
    }
}

impl From<ColumnsError> for Error {
    fn from(error: ColumnsError) -> Self {
        Self::Table { detail: error.to_string() }
    }
}

/// ` (did you mean `x`?)` for the nearest of `known`, or nothing if none is near.
pub(crate) fn suggestion<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let lower = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().max(written.len()) / 4)
        .min()
        .map_or_else(String::new, |(_, name)| format!(" (did you mean `{name}`?)"))
}

/// The first line of `text`, at most 300 characters.
pub(crate) fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given").chars().take(300).collect()
}
