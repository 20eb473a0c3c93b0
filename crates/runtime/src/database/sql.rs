//! Statements, the schema they belong to, and the few places where databases differ.

use gristmill_types::Name;
use sqlx::{AssertSqlSafe, SqlSafeStr};

/// Which SQL a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A file that one process writes.
    Sqlite,
    /// A server that several processes share.
    Postgres,
}

/// The tables of one stage. A prefix in SQLite (`training_job`), a schema in PostgreSQL
/// (`training.job`).
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

    /// The stage as a name that needs no quotes.
    pub(super) fn identifier(&self) -> String {
        self.0.as_str().replace('-', "_")
    }

    fn prefix(&self, dialect: Dialect) -> String {
        match dialect {
            Dialect::Sqlite => format!("{}_", self.identifier()),
            // Quoted: a stage may be called like a word of the language.
            Dialect::Postgres => format!("\"{}\".", self.identifier()),
        }
    }
}

/// A statement made of program text alone; values are always bound.
///
/// The text is what SQLite and PostgreSQL have in common (`$1`, `returning`, `on conflict`), and four
/// marks for what they have not:
///
/// | mark | SQLite | PostgreSQL |
/// |---|---|---|
/// | `{s}` before a table | the stage's prefix | the stage's schema |
/// | `{lock}` after a query in a transaction | nothing: the writer is alone | ` for update`: waits for the rows |
/// | `{free}` likewise | nothing | ` for update skip locked`: leaves out rows that others hold |
/// | `{each:$1}` in `from` | `e`, one row per `value` of the JSON array of texts | likewise |
#[derive(Debug, Clone)]
pub struct Sql {
    schema: Option<Schema>,
    text: &'static str,
}

impl Sql {
    /// A statement on the tables of a schema: `select * from {s}job`.
    pub fn new(schema: &Schema, text: &'static str) -> Self {
        Self { schema: Some(schema.clone()), text }
    }

    /// The statement for one database.
    pub(super) fn safe(&self, dialect: Dialect) -> impl SqlSafeStr + use<> {
        let prefix = self.schema.as_ref().map(|schema| schema.prefix(dialect)).unwrap_or_default();
        // Only a checked name (lower-case letters, digits, `_`) is put into the text.
        AssertSqlSafe(render(self.text, dialect, &prefix))
    }

    /// The statement without a schema before its tables, for a script that PostgreSQL runs with the
    /// schema as its search path: there an index cannot be named with its schema.
    pub(super) fn safe_in_path(&self) -> impl SqlSafeStr + use<> {
        AssertSqlSafe(render(self.text, Dialect::Postgres, ""))
    }

    pub(super) fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self { schema: None, text }
    }
}

fn render(text: &str, dialect: Dialect, prefix: &str) -> String {
    let (lock, free, each, end) = match dialect {
        Dialect::Sqlite => ("", "", "json_each(", ") e"),
        Dialect::Postgres => {
            (" for update", " for update skip locked", "json_array_elements_text(", "::json) e(value)")
        }
    };
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, mark) = rest.split_at(at);
        out.push_str(before);
        let length = mark.find('}').map_or(mark.len(), |end| end + 1);
        let (mark, after) = mark.split_at(length);
        match mark {
            "{s}" => out.push_str(prefix),
            "{lock}" => out.push_str(lock),
            "{free}" => out.push_str(free),
            _ => match mark.strip_prefix("{each:").and_then(|mark| mark.strip_suffix('}')) {
                Some(value) => out.extend([each, value, end]),
                None => out.push_str(mark),
            },
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_what_each_database_needs() {
        let text = "select a from {s}job where b in (select value from {each:$1}) and c = '{}' limit 1{free}";
        let schema = Schema::new(&Name::new("mill-one").unwrap());
        let render = |dialect| super::render(text, dialect, &schema.prefix(dialect));
        assert_eq!(
            render(Dialect::Sqlite),
            "select a from mill_one_job where b in (select value from json_each($1) e) and c = '{}' limit 1"
        );
        assert_eq!(
            render(Dialect::Postgres),
            "select a from \"mill_one\".job where b in (select value from json_array_elements_text($1::json) e(value)) \
             and c = '{}' limit 1 for update skip locked"
        );
        assert_eq!(super::render("select 1{lock}", Dialect::Postgres, ""), "select 1 for update");
    }
}
