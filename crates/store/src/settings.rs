//! Where artifacts live and how long garbage is spared.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use gristmill_types::Micros;
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// Shortest grace: several times the longest lease of a job (60 s).
const MIN_GRACE_SECONDS: u64 = 600;
/// Least room of the disk cache: one chunk.
const MIN_CACHE_BYTES: u64 = 8 << 20;

/// Where objects are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Location {
    /// A folder of this machine (`file:///var/lib/gristmill/store`), taken as written.
    Local(PathBuf),
    /// This process's memory (`memory://`), gone when it ends.
    Memory,
}

impl FromStr for Location {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text.split_once("://") {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("file", path)) if path.starts_with('/') && path.len() > 1 => Ok(Self::Local(path.into())),
            _ => {
                let text: String = text.chars().take(80).collect();
                Err(StoreError::Settings(format!(
                    "`{text}` is not a place for artifacts: write file:///absolute/folder or memory://"
                )))
            }
        }
    }
}

impl TryFrom<String> for Location {
    type Error = StoreError;
    fn try_from(text: String) -> Result<Self, StoreError> {
        text.parse()
    }
}

impl From<Location> for String {
    fn from(location: Location) -> String {
        location.to_string()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "file://{}", path.display()),
            Self::Memory => f.write_str("memory://"),
        }
    }
}

/// The store's part of a configuration file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// Where objects are kept.
    pub url: Location,
    /// A folder for temporary files and cached parts of a store that is not a folder.
    pub cache_dir: PathBuf,
    /// Most bytes of cached parts on disk.
    #[serde(default = "default_cache_bytes")]
    pub cache_bytes: u64,
    /// How long an object is spared by garbage collection after it was put.
    #[serde(default = "default_grace_seconds")]
    pub grace_seconds: u64,
}

const fn default_cache_bytes() -> u64 {
    10 << 30
}

const fn default_grace_seconds() -> u64 {
    24 * 3600
}

impl StoreConfig {
    /// Takes the defaults for everything but the places.
    pub fn new(url: Location, cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            url,
            cache_dir: cache_dir.into(),
            cache_bytes: default_cache_bytes(),
            grace_seconds: default_grace_seconds(),
        }
    }

    /// Checks the bounds.
    pub(crate) fn check(&self) -> Result<Bounds, StoreError> {
        if self.grace_seconds < MIN_GRACE_SECONDS {
            return Err(StoreError::Settings(format!(
                "grace_seconds is {}: it must outlive the longest lease, so at least {MIN_GRACE_SECONDS}",
                self.grace_seconds
            )));
        }
        if self.cache_bytes < MIN_CACHE_BYTES {
            return Err(StoreError::Settings(format!(
                "cache_bytes is {}: at least {MIN_CACHE_BYTES} are needed",
                self.cache_bytes
            )));
        }
        let grace = i64::try_from(self.grace_seconds).ok().and_then(|s| s.checked_mul(1_000_000));
        let grace = grace.ok_or_else(|| StoreError::Settings("grace_seconds is too large".into()))?;
        Ok(Bounds { grace, cache_bytes: self.cache_bytes })
    }
}

/// Checked bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) grace: Micros,
    pub(crate) cache_bytes: u64,
}
