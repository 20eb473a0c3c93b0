//! One value of a profile, written as the JSON value it is.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value: `true`, `3`, `2.5` or `"text"`. What is not finite is written as text (`"inf"`), as JSON has no word for it.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// Whole number.
    Int(i64),
    /// Number.
    Float(f64),
    /// Text; dates and moments as ISO 8601.
    Text(String),
}

impl Scalar {
    /// The value as a number; none of text.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Bool(v) => Some(f64::from(u8::from(*v))),
            Self::Int(v) => Some(*v as f64),
            Self::Float(v) => Some(*v),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(v) => v.fmt(f),
            Self::Int(v) => v.fmt(f),
            Self::Float(v) => v.fmt(f),
            Self::Text(v) => f.write_str(v),
        }
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(v) => serializer.serialize_bool(*v),
            Self::Int(v) => serializer.serialize_i64(*v),
            Self::Float(v) if v.is_finite() => serializer.serialize_f64(*v),
            Self::Float(v) => serializer.serialize_str(&v.to_string()),
            Self::Text(v) => serializer.serialize_str(v),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    // By hand: infinities are written as text, and a whole number is an integer only where it fits one.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Bool(v) => Ok(Self::Bool(v)),
            serde_json::Value::String(v) => Ok(match v.as_str() {
                "inf" => Self::Float(f64::INFINITY),
                "-inf" => Self::Float(f64::NEG_INFINITY),
                _ => Self::Text(v),
            }),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(v), _) => Ok(Self::Int(v)),
                (None, Some(v)) => Ok(Self::Float(v)),
                (None, None) => Err(serde::de::Error::custom("a number of a profile does not fit 64 bits")),
            },
            _ => Err(serde::de::Error::custom("a value of a profile is true, false, a number or text")),
        }
    }
}
