//! Values that go into statements, and rows that come out.

use std::sync::Arc;

use gristmill_types::{Digest, Fence, JobId, Name, Project};

use super::DatabaseError;

/// One value of a statement or a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL null; PostgreSQL wants to know of what.
    Null(Kind),
    /// A 64-bit integer; booleans are 0 and 1.
    Int(i64),
    /// A 64-bit float.
    Float(f64),
    /// UTF-8.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// What a value is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 64-bit integers.
    Int,
    /// 64-bit floats.
    Float,
    /// UTF-8.
    Text,
    /// Bytes.
    Bytes,
}

/// What can be bound, and so can be absent: `None` becomes a null of this kind.
pub trait Bind: Into<Value> {
    /// What its values are made of.
    const KIND: Kind;
}

/// One row, read by column name.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    names: Arc<[String]>,
    values: Vec<Value>,
}

/// What can be read from a [`Value`].
pub trait FromValue: Sized {
    /// What the value must be, for the error.
    const EXPECTED: &'static str;

    /// Takes the value apart; none if it is something else.
    fn from_value(value: &Value) -> Option<Self>;
}

impl Row {
    /// The value of column `name`.
    ///
    /// # Errors
    /// [`DatabaseError::Value`] when there is no such column or it holds something else.
    pub fn get<T: FromValue>(&self, name: &str) -> Result<T, DatabaseError> {
        let at = self.names.iter().position(|own| own == name);
        at.and_then(|at| self.values.get(at))
            .and_then(T::from_value)
            .ok_or_else(|| DatabaseError::Value { column: name.to_owned(), expected: T::EXPECTED })
    }

    pub(super) fn new(names: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { names, values }
    }
}

impl FromValue for i64 {
    const EXPECTED: &'static str = "an integer";
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Int(value) = value { Some(*value) } else { None }
    }
}

impl FromValue for u32 {
    const EXPECTED: &'static str = "an integer from 0 to 4294967295";
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).and_then(|value| value.try_into().ok())
    }
}

impl FromValue for u64 {
    const EXPECTED: &'static str = "an integer that is not negative";
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).and_then(|value| value.try_into().ok())
    }
}

impl FromValue for bool {
    const EXPECTED: &'static str = "0 or 1";
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(|value| value != 0)
    }
}

impl FromValue for f64 {
    const EXPECTED: &'static str = "a number";
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Float(value) => Some(*value),
            #[expect(clippy::cast_precision_loss, reason = "an integer in a float column was written from a float")]
            Value::Int(value) => Some(*value as f64),
            _ => None,
        }
    }
}

impl FromValue for String {
    const EXPECTED: &'static str = "text";
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(value) = value { Some(value.clone()) } else { None }
    }
}

impl FromValue for Vec<u8> {
    const EXPECTED: &'static str = "bytes";
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Bytes(value) = value { Some(value.clone()) } else { None }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    fn from_value(value: &Value) -> Option<Self> {
        if matches!(value, Value::Null(_)) { Some(None) } else { T::from_value(value).map(Some) }
    }
}

macro_rules! from_text {
    ($($type:ty, $expected:literal;)*) => {$(
        impl FromValue for $type {
            const EXPECTED: &'static str = $expected;
            fn from_value(value: &Value) -> Option<Self> {
                if let Value::Text(text) = value { text.parse().ok() } else { None }
            }
        }

        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::Text(value.to_string())
            }
        }

        impl From<&$type> for Value {
            fn from(value: &$type) -> Self {
                Self::Text(value.to_string())
            }
        }
    )*};
}

from_text! {
    Digest, "a digest";
    JobId, "a job id";
    Project, "a project name";
    Name, "a name";
}

impl From<Fence> for Value {
    fn from(value: Fence) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u64> for Value {
    /// Values above `i64::MAX` become it: no count or size reaches that.
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl<T: Bind> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null(T::KIND), Into::into)
    }
}

macro_rules! kinds {
    ($($kind:ident: $($type:ty),*;)*) => {$($(
        impl Bind for $type {
            const KIND: Kind = Kind::$kind;
        }
    )*)*};
}

kinds! {
    Int: Fence, i32, u32, u64, bool;
    Float: f64;
    Text: &str, String, Digest, &Digest, JobId, &JobId, Project, &Project, Name, &Name;
    Bytes: Vec<u8>;
}
