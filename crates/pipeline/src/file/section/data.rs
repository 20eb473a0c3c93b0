//! Sources and the dataset.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};

use crate::file::Seconds;

/// One source: a table by name.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A file beside the pipeline file (it is uploaded), or `file:` under a root the server allows.
    pub path: String,
    /// How to read it.
    #[serde(default)]
    pub format: Format,
    /// Details of delimited text.
    #[serde(default)]
    pub csv: Csv,
    /// Types that inference must not decide.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// When a row can be known; omitted: from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<Available>,
}

/// A file's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// By the file's name.
    #[default]
    Auto,
    /// Delimited text.
    Csv,
    /// Parquet.
    Parquet,
}

/// Details of delimited text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Csv {
    /// One byte; empty: a comma, or a tab for `.tsv`.
    pub delimiter: String,
    /// One byte; empty: a double quote.
    pub quote: String,
    /// Whether the first line names the columns; omitted: it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Texts that mean null, besides the empty field.
    pub nulls: Vec<String>,
}

/// When a row of a source can be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Available {
    /// Timestamp column of the source.
    pub column: String,
    /// Added to it.
    #[serde(default)]
    pub delay: Seconds,
}

/// How the sources become one table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dataset {
    /// The source whose rows are the rows; empty: the only source.
    pub base: String,
    /// SQL over the base's columns: the moment of prediction; empty: no events in time.
    pub known_at: String,
    /// Columns of the base that are outcomes: never features.
    pub known_after: Vec<String>,
    /// SQL predicate: the population; excluded rows are counted.
    pub filter: String,
    /// In order; each sees the table so far.
    pub steps: Vec<Step>,
    /// Of the dataset, in order; empty: all.
    pub columns: Vec<String>,
    /// Columns that name a row; empty: the whole row.
    pub key: Vec<String>,
    /// Column or SQL: unit of dependence; empty: the row.
    pub unit: String,
    /// JSON of a schema to hold the data against; empty: none.
    pub expected_schema: String,
    /// Which anomalies end the run.
    pub refuse_anomalies: RefuseAnomalies,
}

/// Which anomalies end the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefuseAnomalies {
    /// Errors.
    #[default]
    Error,
    /// Warnings too.
    Warning,
    /// None.
    Never,
}

/// One step of the integration.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// One SELECT over the sources and `input`, the table so far.
    Sql(String),
    /// Left equi-join.
    Join(Join),
    /// Left join with the newest row that was available at the moment of prediction.
    AsOf(AsOf),
    /// New columns by SQL expressions, in order.
    Derive(Named),
}

/// Left equi-join that matches at most one row.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The source to take columns from.
    pub source: String,
    /// Keys.
    pub on: Vec<Key>,
    /// Columns to take; empty: all but the keys.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Put before the names of the columns taken.
    #[serde(default)]
    pub prefix: String,
    /// A row may match several, and multiplies.
    #[serde(default)]
    pub allow_multiple: bool,
    /// Least share of rows that must match, 0 to 1.
    #[serde(default)]
    pub min_matched: f64,
}

/// As-of join backwards from the moment of prediction.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AsOf {
    /// The source to take columns from; it has an `available`.
    pub source: String,
    /// Keys.
    #[serde(default)]
    pub on: Vec<Key>,
    /// Oldest row allowed before the moment of prediction; `0s`: no bound.
    #[serde(default)]
    pub tolerance: Seconds,
    /// Columns to take; empty: all but the keys.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Put before the names of the columns taken.
    #[serde(default)]
    pub prefix: String,
    /// Least share of rows that must match, 0 to 1.
    #[serde(default)]
    pub min_matched: f64,
}

/// A key of a join: one name for both sides, or `{ left: …, right: … }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Key {
    /// The same name on both sides.
    Same(String),
    /// One name each.
    Pair {
        /// In the table so far.
        left: String,
        /// In the source.
        right: String,
    },
}

/// Names and SQL expressions, in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named(pub Vec<(String, String)>);

#[derive(Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    left: String,
    right: String,
}

impl Key {
    /// Names in the table so far and in the source.
    pub fn sides(&self) -> (&str, &str) {
        match self {
            Self::Same(name) => (name, name),
            Self::Pair { left, right } => (left, right),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Same(name) => serializer.serialize_str(name),
            Self::Pair { left, right } => Pair { left: left.clone(), right: right.clone() }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column, or { left: …, right: … }")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(Key::Same(name.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Key, A::Error> {
                let pair = Pair::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Key::Pair { left: pair.left, right: pair.right })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, expression)| (name, expression)))
    }
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Named;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("new columns: { name: expression }")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Named, A::Error> {
                let mut named = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    named.push(entry);
                }
                Ok(Named(named))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl JsonSchema for Named {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expressions".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": { "type": "string" },
            "description": "Names and SQL expressions, in order."
        })
    }
}
