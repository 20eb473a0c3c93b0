//! Configuration: defaults < file < environment < flags, and where each value came from.

mod error;
mod explain;
mod merge;
mod secret;

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use error::ConfigError;
pub use explain::{Explained, Origin};
pub use secret::resolve;

/// The prefix of every environment variable that sets a key.
pub const PREFIX: &str = "GRISTMILL_";

/// Largest configuration file, bytes.
const FILE_BYTES: u64 = 1 << 20;

/// Where a configuration is read from. Everything is handed in, so a test needs no environment.
#[derive(Debug, Clone, Default)]
pub struct Sources<'a> {
    /// The YAML file, if any; a named file must exist.
    pub file: Option<&'a Path>,
    /// The environment, usually `std::env::vars()`; variables without [`PREFIX`] are ignored.
    pub environment: Vec<(String, String)>,
    /// Variables with [`PREFIX`] that are read elsewhere and are not keys, such as `GRISTMILL_CONFIG`.
    pub elsewhere: &'a [&'a str],
    /// Flags as (dotted key, text), such as `("listen.grpc", "127.0.0.1:7700")`.
    pub flags: Vec<(String, String)>,
}

/// A configuration and the origin of each of its values.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The merged configuration.
    pub value: T,
    /// Every key with its value and origin, in the order of the struct.
    pub explained: Vec<Explained>,
}

impl<T> Loaded<T> {
    /// One line per key, `key = value  (origin)`: what `--explain` prints. Secrets are references, so
    /// none can appear.
    pub fn explain(&self) -> String {
        explain::render(&self.explained)
    }
}

/// Merges the sources over `T::default()`.
///
/// Every field of `T` must be serialised (no `skip_serializing_if`): the serialised defaults are the
/// list of known keys. An empty map in the defaults is open: any key may be added below it.
///
/// # Errors
/// [`ConfigError`] names the key, the source and what to write instead.
pub fn load<T>(sources: &Sources<'_>) -> Result<Loaded<T>, ConfigError>
where
    T: Default + Serialize + DeserializeOwned,
{
    let defaults = serde_json::to_value(T::default())
        .map_err(|error| ConfigError::Type { message: format!("the defaults cannot be written down: {error}") })?;
    let mut merged = merge::Merged::new(defaults);
    if let Some(path) = sources.file {
        merged.file(path, read(path)?)?;
    }
    for (name, text) in &sources.environment {
        if let Some(key) = name.strip_prefix(PREFIX)
            && !sources.elsewhere.contains(&name.as_str())
        {
            let key = key.to_lowercase().replace("__", ".");
            merged.text(&key, text, Origin::Environment(name.clone()))?;
        }
    }
    for (key, text) in &sources.flags {
        merged.text(key, text, Origin::Flag(key.clone()))?;
    }
    let value = merged.finish()?;
    Ok(Loaded { value, explained: merged.explained() })
}

fn read(path: &Path) -> Result<Value, ConfigError> {
    let shown = path.display().to_string();
    let unreadable = |message: String| ConfigError::File { path: shown.clone(), message };
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > FILE_BYTES {
        return Err(unreadable(format!("it has {size} bytes and a configuration has at most {FILE_BYTES}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_saphyr::from_str(&text).map_err(|error| unreadable(error.to_string()))
}
