//! YAML files as plain values.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

/// Every document of a file.
pub(super) fn documents(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_saphyr::from_multiple(&text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

/// The one document of a file.
pub(super) fn document(path: &Path) -> anyhow::Result<Value> {
    documents(path)?.into_iter().next().with_context(|| format!("{} is empty", path.display()))
}

/// Every file below a folder with one of the endings, sorted.
pub(super) fn below(folder: &Path, endings: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(below(&path, endings)?);
        } else if path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| endings.contains(&ending)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The leaves of a tree with their dotted keys. A list is a leaf, an empty map too.
pub(super) fn leaves<'a>(above: &str, tree: &'a Value, into: &mut Vec<(String, &'a Value)>) {
    match tree {
        Value::Object(map) if !map.is_empty() || above.is_empty() => {
            for (key, value) in map {
                let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
                leaves(&path, value, into);
            }
        }
        _ => into.push((above.to_owned(), tree)),
    }
}

/// The items of a list; none for anything else.
pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A value as text, whether it was written as a number or as a text.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A list of texts.
pub(super) fn texts(value: &Value) -> Vec<String> {
    items(value).map(text).collect()
}

/// The port at the end of `host:port`.
pub(super) fn port(address: &str) -> Option<u16> {
    address.rsplit(':').next()?.trim_end_matches('/').parse().ok()
}

/// `NAME=value` lines of an environment file.
pub(super) fn environment(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Ok(lines.filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
}
