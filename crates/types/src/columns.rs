//! Plain columnar rows: what crosses between the crates that read data and the pure ones that
//! compute on it.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Micros;

/// The type of a column.
///
/// Written as `bool`, `int`, `float`, `decimal(2)`, `text`, `date`, `timestamp` (no zone known) or
/// `timestamp[America/New_York]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ColumnType {
    /// True or false.
    Bool,
    /// 64-bit signed integer.
    Int,
    /// 64-bit floating point; NaN is a value, missing is a null.
    Float,
    /// Exact decimal: value × 10^−scale.
    Decimal {
        /// Digits after the point.
        scale: u32,
    },
    /// UTF-8 text.
    Text,
    /// Calendar day.
    Date,
    /// A moment, microseconds UTC; `zone` is the IANA zone its calendar parts are read in, and
    /// `None` means that the source gave wall-clock time without a zone.
    Timestamp {
        /// IANA zone name, or none for a naive timestamp.
        zone: Option<String>,
    },
}

impl ColumnType {
    /// Whether values are numbers.
    pub const fn is_numeric(&self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Decimal { .. })
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::Decimal { scale } => write!(f, "decimal({scale})"),
            Self::Text => f.write_str("text"),
            Self::Date => f.write_str("date"),
            Self::Timestamp { zone: None } => f.write_str("timestamp"),
            Self::Timestamp { zone: Some(zone) } => write!(f, "timestamp[{zone}]"),
        }
    }
}

impl FromStr for ColumnType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let inner = |open: &str, close: char| text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        match text {
            "bool" => return Ok(Self::Bool),
            "int" => return Ok(Self::Int),
            "float" => return Ok(Self::Float),
            "text" => return Ok(Self::Text),
            "date" => return Ok(Self::Date),
            "timestamp" => return Ok(Self::Timestamp { zone: None }),
            _ => {}
        }
        if let Some(scale) = inner("decimal(", ')').and_then(|scale| scale.parse().ok()).filter(|scale| *scale <= 38) {
            return Ok(Self::Decimal { scale });
        }
        if let Some(zone) = inner("timestamp[", ']').filter(|zone| !zone.is_empty()) {
            return Ok(Self::Timestamp { zone: Some(zone.into()) });
        }
        let text: String = text.chars().take(80).collect();
        Err(format!(
            "`{text}` is not a column type: write bool, int, float, decimal(2), text, date, timestamp or timestamp[Area/City]"
        ))
    }
}

impl TryFrom<String> for ColumnType {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ColumnType> for String {
    fn from(column_type: ColumnType) -> String {
        column_type.to_string()
    }
}

/// A column's name and type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Field {
    /// Name, unique within its table.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
}

/// Text with each distinct value kept once: row i is `values[codes[i]]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    /// Index into `values`, one per row; 0 where the row is null.
    pub codes: Vec<u32>,
    /// Distinct values in order of first appearance.
    pub values: Vec<String>,
}

impl Text {
    /// Encodes rows; a null takes code 0 and no value.
    pub fn from_rows<'a>(rows: impl IntoIterator<Item = Option<&'a str>>) -> (Self, Vec<bool>) {
        let mut seen: HashMap<&'a str, u32> = HashMap::new();
        let mut text = Self::default();
        let mut valid = Vec::new();
        for row in rows {
            valid.push(row.is_some());
            let code = row.map_or(0, |value| {
                *seen.entry(value).or_insert_with(|| {
                    text.values.push(value.to_owned());
                    // At most one value per row, and rows are counted in u32 codes.
                    u32::try_from(text.values.len() - 1).unwrap_or(u32::MAX)
                })
            });
            text.codes.push(code);
        }
        (text, valid)
    }

    /// Row `row`'s text (of a row that is not null).
    pub fn get(&self, row: usize) -> &str {
        self.codes.get(row).and_then(|code| self.values.get(*code as usize)).map_or("", String::as_str)
    }
}

/// The values of one column; what stands at a null row means nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// [`ColumnType::Bool`].
    Bool(Vec<bool>),
    /// [`ColumnType::Int`].
    Int(Vec<i64>),
    /// [`ColumnType::Float`].
    Float(Vec<f64>),
    /// [`ColumnType::Decimal`].
    Decimal {
        /// Digits after the point.
        scale: u32,
        /// Values × 10^scale.
        unscaled: Vec<i128>,
    },
    /// [`ColumnType::Text`].
    Text(Text),
    /// [`ColumnType::Date`]: days since 1970-01-01.
    Date(Vec<i32>),
    /// [`ColumnType::Timestamp`]: microseconds since the epoch, UTC (wall clock if the zone is none).
    Timestamp {
        /// IANA zone name, or none for a naive timestamp.
        zone: Option<String>,
        /// Microseconds.
        micros: Vec<Micros>,
    },
}

/// One named column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name, unique within its table.
    pub name: String,
    /// Values, one per row.
    pub values: Values,
    /// Which rows are not null; `None` when none is null.
    pub valid: Option<Vec<bool>>,
}

impl Column {
    /// Makes a column without nulls.
    pub fn new(name: impl Into<String>, values: Values) -> Self {
        Self { name: name.into(), values, valid: None }
    }

    /// Makes a column with a validity mask; a mask that is true everywhere is dropped.
    pub fn with_valid(name: impl Into<String>, values: Values, valid: Vec<bool>) -> Self {
        let valid = if valid.iter().all(|v| *v) { None } else { Some(valid) };
        Self { name: name.into(), values, valid }
    }

    /// Makes a text column from optional rows.
    pub fn text<'a>(name: impl Into<String>, rows: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let (text, valid) = Text::from_rows(rows);
        Self::with_valid(name, Values::Text(text), valid)
    }

    /// Makes a float column from optional rows.
    pub fn float(name: impl Into<String>, rows: impl IntoIterator<Item = Option<f64>>) -> Self {
        let (values, valid) = rows.into_iter().map(|v| (v.unwrap_or(f64::NAN), v.is_some())).unzip();
        Self::with_valid(name, Values::Float(values), valid)
    }

    /// Makes an integer column from optional rows.
    pub fn int(name: impl Into<String>, rows: impl IntoIterator<Item = Option<i64>>) -> Self {
        let (values, valid) = rows.into_iter().map(|v| (v.unwrap_or(0), v.is_some())).unzip();
        Self::with_valid(name, Values::Int(values), valid)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Bool(v) => v.len(),
            Values::Int(v) => v.len(),
            Values::Float(v) => v.len(),
            Values::Decimal { unscaled, .. } => unscaled.len(),
            Values::Text(text) => text.codes.len(),
            Values::Date(v) => v.len(),
            Values::Timestamp { micros, .. } => micros.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The column's type.
    pub fn column_type(&self) -> ColumnType {
        match &self.values {
            Values::Bool(_) => ColumnType::Bool,
            Values::Int(_) => ColumnType::Int,
            Values::Float(_) => ColumnType::Float,
            Values::Decimal { scale, .. } => ColumnType::Decimal { scale: *scale },
            Values::Text(_) => ColumnType::Text,
            Values::Date(_) => ColumnType::Date,
            Values::Timestamp { zone, .. } => ColumnType::Timestamp { zone: zone.clone() },
        }
    }

    /// Whether row `row` has a value.
    pub fn is_valid(&self, row: usize) -> bool {
        self.valid.as_ref().is_none_or(|valid| valid.get(row).copied().unwrap_or(false))
    }

    /// Number of null rows.
    pub fn null_count(&self) -> usize {
        self.valid.as_ref().map_or(0, |valid| valid.iter().filter(|v| !**v).count())
    }

    /// Row `row` as one value; a null (or a row that is not there) is [`Cell::Missing`].
    pub fn cell(&self, row: usize) -> Cell<'_> {
        if !self.is_valid(row) || row >= self.len() {
            return Cell::Missing;
        }
        match &self.values {
            Values::Bool(v) => Cell::Bool(v[row]),
            Values::Int(v) => Cell::Int(v[row]),
            Values::Float(v) => Cell::Float(v[row]),
            Values::Decimal { scale, unscaled } => Cell::Decimal { scale: *scale, unscaled: unscaled[row] },
            Values::Text(text) => Cell::Text(text.get(row)),
            Values::Date(v) => Cell::Date(v[row]),
            Values::Timestamp { micros, .. } => Cell::Timestamp(micros[row]),
        }
    }

    /// The rows `rows`, in that order.
    pub fn take(&self, rows: &[usize]) -> Self {
        fn pick<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|row| values[*row]).collect()
        }
        let values = match &self.values {
            Values::Bool(v) => Values::Bool(pick(v, rows)),
            Values::Int(v) => Values::Int(pick(v, rows)),
            Values::Float(v) => Values::Float(pick(v, rows)),
            Values::Decimal { scale, unscaled } => Values::Decimal { scale: *scale, unscaled: pick(unscaled, rows) },
            Values::Text(text) => Values::Text(Text { codes: pick(&text.codes, rows), values: text.values.clone() }),
            Values::Date(v) => Values::Date(pick(v, rows)),
            Values::Timestamp { zone, micros } => Values::Timestamp { zone: zone.clone(), micros: pick(micros, rows) },
        };
        match &self.valid {
            None => Self::new(self.name.clone(), values),
            Some(valid) => Self::with_valid(self.name.clone(), values, pick(valid, rows)),
        }
    }
}

/// One value of one row, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Missing,
    /// True or false.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Floating point.
    Float(f64),
    /// Exact decimal: `unscaled` × 10^−`scale`.
    Decimal {
        /// Digits after the point.
        scale: u32,
        /// Value × 10^scale.
        unscaled: i128,
    },
    /// Text.
    Text(&'a str),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since the epoch, UTC.
    Timestamp(Micros),
}

/// Why columns do not make a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    /// Two columns share a name.
    #[error("column `{0}` appears twice: give each column a name of its own")]
    Duplicate(String),
    /// A column is longer or shorter than the first.
    #[error("column `{name}` has {rows} rows where the table has {expected}")]
    Length {
        /// The odd column.
        name: String,
        /// Its rows.
        rows: usize,
        /// The table's rows.
        expected: usize,
    },
    /// A column's mask does not fit its values.
    #[error("column `{0}` has a validity mask of another length than its values")]
    Mask(String),
}

/// A table: columns of equal length with names of their own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Columns {
    columns: Vec<Column>,
    rows: usize,
}

impl Columns {
    /// Makes a table.
    ///
    /// # Errors
    /// [`ColumnsError`] if names repeat or lengths differ.
    pub fn new(columns: Vec<Column>) -> Result<Self, ColumnsError> {
        let rows = columns.first().map_or(0, Column::len);
        let mut seen = std::collections::HashSet::new();
        for column in &columns {
            if !seen.insert(column.name.as_str()) {
                return Err(ColumnsError::Duplicate(column.name.clone()));
            }
            if column.len() != rows {
                return Err(ColumnsError::Length { name: column.name.clone(), rows: column.len(), expected: rows });
            }
            if column.valid.as_ref().is_some_and(|valid| valid.len() != rows) {
                return Err(ColumnsError::Mask(column.name.clone()));
            }
        }
        Ok(Self { columns, rows })
    }

    /// Number of rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Gives the columns away.
    pub fn into_columns(self) -> Vec<Column> {
        self.columns
    }

    /// The column named `name`.
    pub fn get(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Names and types, in order.
    pub fn fields(&self) -> Vec<Field> {
        self.columns.iter().map(|c| Field { name: c.name.clone(), column_type: c.column_type() }).collect()
    }

    /// The rows `rows`, in that order.
    pub fn take(&self, rows: &[usize]) -> Self {
        Self { columns: self.columns.iter().map(|column| column.take(rows)).collect(), rows: rows.len() }
    }

    /// The columns `names` that exist, in that order.
    pub fn select(&self, names: &[impl AsRef<str>]) -> Self {
        let columns = names.iter().filter_map(|name| self.get(name.as_ref()).cloned()).collect();
        Self { columns, rows: self.rows }
    }
}
