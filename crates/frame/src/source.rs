//! How one source is to be read.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use gristmill_types::ColumnType;
use serde::{Deserialize, Serialize};

use crate::Error;

/// One named source: its format, its declared types and when its rows can be known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceSpec {
    /// CSV or Parquet; `Auto` looks at the first bytes.
    pub format: FileFormat,
    /// How to read CSV.
    pub csv: CsvOptions,
    /// Types that inference must not decide, and the zones of naive timestamps.
    pub columns: BTreeMap<String, DeclaredType>,
    /// When a row can be known. Undeclared, a source without any time is reference data, known from the
    /// start; one with times must declare it as soon as there is a moment of prediction.
    pub available: Option<Availability>,
}

/// File formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// Parquet if the file starts with `PAR1`, else CSV.
    #[default]
    Auto,
    /// Delimited text, gzip or plain.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// How to read delimited text. Gzip is recognised by its first bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CsvOptions {
    /// Between fields, one ASCII character.
    pub delimiter: char,
    /// Around fields that hold delimiters or line ends, one ASCII character.
    pub quote: char,
    /// Whether the first line names the columns; without, they are `column_1`, `column_2`, ….
    pub header: bool,
    /// Texts that mean null, quoted or not, besides the empty field.
    pub null_values: Vec<String>,
    /// Bytes to characters.
    pub encoding: Encoding,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: ',',
            quote: '"',
            header: true,
            null_values: ["NA", "N/A", "NULL", "null"].map(String::from).into(),
            encoding: Encoding::Utf8,
        }
    }
}

/// Character encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[default]
    Utf8,
    /// ISO 8859-1.
    Latin1,
}

/// When a row of a source can be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// From the start: reference data.
    Static,
    /// At the time in `column`, plus `delay_seconds`.
    At {
        /// Timestamp column of the source.
        column: String,
        /// Seconds after it.
        delay_seconds: i64,
    },
}

/// A declared type: a column type, and for timestamps optionally the zone in which naive values were
/// written, as in `timestamp[America/New_York] from UTC`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeclaredType {
    /// The type; a timestamp's zone is the one its calendar parts are read in.
    pub column_type: ColumnType,
    /// Zone of naive values, if another than the type's.
    pub written_in: Option<String>,
}

impl DeclaredType {
    /// Zone in which naive values are to be understood.
    pub fn wall_zone(&self) -> Option<&str> {
        match (&self.written_in, &self.column_type) {
            (Some(zone), _) | (None, ColumnType::Timestamp { zone: Some(zone) }) => Some(zone),
            _ => None,
        }
    }
}

impl From<ColumnType> for DeclaredType {
    fn from(column_type: ColumnType) -> Self {
        Self { column_type, written_in: None }
    }
}

impl fmt::Display for DeclaredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.written_in {
            None => write!(f, "{}", self.column_type),
            Some(zone) => write!(f, "{} from {zone}", self.column_type),
        }
    }
}

impl FromStr for DeclaredType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (column_type, written_in) = match text.split_once(" from ") {
            None => (text.trim(), None),
            Some((column_type, zone)) => (column_type.trim(), Some(zone.trim().to_owned())),
        };
        let column_type: ColumnType = column_type.parse()?;
        if written_in.is_some() && !matches!(column_type, ColumnType::Timestamp { zone: Some(_) }) {
            return Err(format!("`{text}`: only a timestamp with a zone can be read `from` another zone"));
        }
        let zones = match &column_type {
            ColumnType::Timestamp { zone } => [zone.as_deref(), written_in.as_deref()],
            _ => [None, None],
        };
        for zone in zones.into_iter().flatten() {
            parse_zone(zone)?;
        }
        Ok(Self { column_type, written_in })
    }
}

impl TryFrom<String> for DeclaredType {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DeclaredType> for String {
    fn from(declared: DeclaredType) -> String {
        declared.to_string()
    }
}

/// An IANA zone by name.
pub(crate) fn parse_zone(zone: &str) -> Result<chrono_tz::Tz, String> {
    zone.parse().map_err(|_| {
        let known = chrono_tz::TZ_VARIANTS.iter().map(|tz| tz.name());
        let shown: String = zone.chars().take(60).collect();
        format!(
            "`{shown}` is not a time zone{}: write an IANA name such as America/New_York or UTC",
            crate::error::suggestion(zone, known)
        )
    })
}

impl SourceSpec {
    /// Checks what can be checked without the file.
    ///
    /// # Errors
    /// [`Error::Spec`] naming the field under `sources.<name>`.
    pub fn check(&self, name: &str) -> Result<(), Error> {
        let field = |part: &str| format!("sources.{name}.{part}");
        for (part, character) in [("csv.delimiter", self.csv.delimiter), ("csv.quote", self.csv.quote)] {
            if !character.is_ascii() || matches!(character, '\n' | '\r' | '\0') {
                return Err(Error::spec(field(part), "must be one ASCII character and not a line end"));
            }
        }
        if self.csv.delimiter == self.csv.quote {
            return Err(Error::spec(field("csv.quote"), "must differ from the delimiter"));
        }
        for (column, declared) in &self.columns {
            if matches!(declared.column_type, ColumnType::Timestamp { zone: None }) {
                return Err(Error::spec(
                    field(&format!("columns.{column}")),
                    "a timestamp needs its zone: write timestamp[UTC] or timestamp[Area/City]",
                ));
            }
        }
        Ok(())
    }
}
