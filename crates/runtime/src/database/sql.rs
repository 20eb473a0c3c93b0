//! Statements, and the schema they belong to.

use std::sync::Arc;

use gristmill_types::Name;
use sqlx::{AssertSqlSafe, SqlSafeStr};

/// The tables of one stage. A prefix in SQLite (`training_job`), a schema in PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema(Name);

impl Schema {
    /// Names the schema after its stage; hyphens become underscores.
    pub fn new(stage: &Name) -> Self {
        Self(stage.clone())
    }

    /// The stage.
    pub fn stage(&self) -> &str {
        self.0.as_str()
    }

    fn prefix(&self) -> String {
        format!("{}_", self.0.as_str().replace('-', "_"))
    }
}

/// A statement made of program text alone; values are always bound.
#[derive(Debug, Clone)]
pub struct Sql(Arc<str>);

impl Sql {
    /// Takes a statement and writes the schema's prefix for every `{s}`: `select * from {s}job`.
    pub fn new(schema: &Schema, text: &'static str) -> Self {
        // Only a checked name (lower-case letters, digits, `-`, `_`) is put into the text.
        Self(text.replace("{s}", &schema.prefix()).into())
    }

    pub(super) fn safe(&self) -> impl SqlSafeStr + use<> {
        AssertSqlSafe(Arc::clone(&self.0))
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self(text.into())
    }
}
