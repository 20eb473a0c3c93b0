//! Where a value of the configuration came from.

use std::fmt;

use serde_json::Value;

/// The source that had the last word on a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The configuration file, as it was named.
    File(String),
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(key) => write!(f, "flag {key}"),
        }
    }
}

/// One key of the merged configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// Dotted key.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Who set it.
    pub origin: Origin,
}

/// One line per key, values aligned.
pub(super) fn render(rows: &[Explained]) -> String {
    let width = rows.iter().map(|row| row.key.len()).max().unwrap_or(0);
    rows.iter().map(|row| format!("{:width$} = {}  ({})\n", row.key, row.value, row.origin)).collect()
}
