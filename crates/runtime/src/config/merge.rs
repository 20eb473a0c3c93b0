//! The merge itself: a tree of known keys that later sources write into.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{ConfigError, Explained, Origin};

/// A suggestion must be at least this similar (0 to 1) to be of help.
const SIMILAR: f64 = 0.7;

/// The configuration while sources are laid over each other.
#[derive(Debug)]
pub(super) struct Merged {
    /// The defaults: what keys exist, and of what type. Never changed.
    known: Value,
    /// The values so far.
    values: Value,
    /// Origin per dotted key of a leaf; a key that is missing here has its default.
    origins: BTreeMap<String, Origin>,
    /// Texts whose key has no default to tell its type: read as YAML first, as plain text when the
    /// struct refuses that.
    untyped: BTreeMap<String, String>,
}

impl Merged {
    pub(super) fn new(defaults: Value) -> Self {
        Self { known: defaults.clone(), values: defaults, origins: BTreeMap::new(), untyped: BTreeMap::new() }
    }

    /// Lays a file's tree over the values.
    pub(super) fn file(&mut self, path: &Path, tree: Value) -> Result<(), ConfigError> {
        let shown = path.display().to_string();
        if !tree.is_object() {
            let message = "a configuration is a mapping of keys to values".to_owned();
            return Err(ConfigError::File { path: shown, message });
        }
        let mut leaves = Vec::new();
        flatten("", &tree, &self.known, &mut leaves);
        for (key, value) in leaves {
            self.set(&key, value, Origin::File(shown.clone()))?;
        }
        Ok(())
    }

    /// Sets one key from a text, read as the type of the key's default.
    pub(super) fn text(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let known = lookup(&self.known, key);
        let value = match known {
            Some(Value::String(_)) => Value::String(text.to_owned()),
            Some(Value::Null) | None => {
                self.untyped.insert(key.to_owned(), text.to_owned());
                scalar(text)
            }
            Some(_) => scalar(text),
        };
        self.set(key, value, origin)
    }

    fn set(&mut self, key: &str, value: Value, origin: Origin) -> Result<(), ConfigError> {
        self.refuse_unknown(key, &origin)?;
        if !matches!(origin, Origin::Environment(_) | Origin::Flag(_)) {
            self.untyped.remove(key);
        }
        put(&mut self.values, key, value);
        self.origins.insert(key.to_owned(), origin);
        Ok(())
    }

    /// Walks down the known keys; an empty map or a null default is open below.
    fn refuse_unknown(&self, key: &str, origin: &Origin) -> Result<(), ConfigError> {
        let mut level = &self.known;
        let mut above = String::new();
        for part in key.split('.') {
            match level {
                Value::Object(keys) if !keys.is_empty() => match keys.get(part) {
                    Some(next) => level = next,
                    None => return Err(unknown(key, part, &above, keys, origin)),
                },
                Value::Object(_) | Value::Null => return Ok(()),
                _ => return Err(unknown(key, part, &above, &Map::new(), origin)),
            }
            if !above.is_empty() {
                above.push('.');
            }
            above.push_str(part);
        }
        Ok(())
    }

    /// Reads the values as `T`.
    pub(super) fn finish<T: DeserializeOwned>(&mut self) -> Result<T, ConfigError> {
        let first = match serde_json::from_value(self.values.clone()) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        for (key, text) in std::mem::take(&mut self.untyped) {
            put(&mut self.values, &key, Value::String(text));
        }
        serde_json::from_value(self.values.clone()).map_err(|_| ConfigError::Type { message: self.locate(&first) })
    }

    /// Adds to serde's message the keys that were set, since they are what is wrong.
    fn locate(&self, error: &serde_json::Error) -> String {
        let set: Vec<String> = self.origins.iter().map(|(key, origin)| format!("{key} ({origin})")).collect();
        match set.as_slice() {
            [] => error.to_string(),
            _ => format!("{error}; set are: {}", set.join(", ")),
        }
    }

    pub(super) fn explained(&self) -> Vec<Explained> {
        let mut leaves = Vec::new();
        flatten("", &self.values, &self.known, &mut leaves);
        let explain = |(key, value): (String, Value)| {
            let origin = self.origins.get(&key).cloned().unwrap_or(Origin::Default);
            Explained { key, value, origin }
        };
        leaves.into_iter().map(explain).collect()
    }
}

/// The leaves of `tree` with their dotted keys. What the defaults do not open further is one leaf.
fn flatten(above: &str, tree: &Value, known: &Value, into: &mut Vec<(String, Value)>) {
    match (tree, known) {
        (Value::Object(given), Value::Object(keys)) if above.is_empty() || !keys.is_empty() => {
            for (key, value) in given {
                let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
                flatten(&path, value, keys.get(key).unwrap_or(&Value::Null), into);
            }
        }
        _ => into.push((above.to_owned(), tree.clone())),
    }
}

fn lookup<'a>(tree: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(tree, |level, part| level.get(part))
}

fn put(tree: &mut Value, key: &str, value: Value) {
    let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    if !tree.is_object() {
        *tree = Value::Object(Map::new());
    }
    if let Value::Object(keys) = tree {
        let slot = keys.entry(first).or_insert(Value::Null);
        match rest {
            Some(rest) => put(slot, rest, value),
            None => *slot = value,
        }
    }
}

/// A text as a YAML value; one that is not YAML stays a text.
fn scalar(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn unknown(key: &str, part: &str, above: &str, keys: &Map<String, Value>, origin: &Origin) -> ConfigError {
    let full = |name: &str| if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
    let nearest = nearest(part, keys.keys().map(String::as_str)).map(full);
    let known = keys.keys().map(|name| full(name)).collect();
    ConfigError::UnknownKey { key: key.to_owned(), origin: origin.to_string(), nearest, known }
}

/// The candidate most like `text`, if one is like enough to be of help.
pub(super) fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(text, candidate), candidate))
        .filter(|(similar, _)| *similar >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
