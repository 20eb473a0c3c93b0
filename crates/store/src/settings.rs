//! Where artifacts live and how long garbage is spared.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

mod remote;

use gristmill_types::Micros;
use serde::{Deserialize, Serialize};

use crate::StoreError;

pub use remote::RemoteConfig;
pub(crate) use remote::{Credentials, Remote, check_endpoint};

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
    /// A bucket of a service (`s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`).
    Bucket(Bucket),
    /// This process's memory (`memory://`), gone when it ends.
    Memory,
}

/// A bucket, or the part of it below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Whose.
    pub service: Service,
    /// The bucket's or the container's name.
    pub name: String,
    /// What every key starts with; empty for the whole bucket.
    pub prefix: String,
}

/// The services that keep buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Amazon S3 and what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

impl Service {
    /// The scheme of its URLs.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Google => "gs",
            Self::Azure => "az",
        }
    }
}

impl FromStr for Location {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let service =
            |scheme: &str| [Service::S3, Service::Google, Service::Azure].into_iter().find(|s| s.scheme() == scheme);
        match text.split_once("://") {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("file", path)) if path.starts_with('/') && path.len() > 1 => Ok(Self::Local(path.into())),
            Some((scheme, rest)) if let Some(service) = service(scheme) => {
                Bucket::parse(service, rest).map(Self::Bucket)
            }
            _ => Err(StoreError::Settings(format!(
                "`{}` is not a place for artifacts: write file:///absolute/folder, s3://bucket/prefix, \
                 gs://bucket/prefix, az://container/prefix or memory://",
                shown(text)
            ))),
        }
    }
}

impl Bucket {
    fn parse(service: Service, rest: &str) -> Result<Self, StoreError> {
        // `user:secret@` and `?sas=…` are how credentials come into URLs, so such a text is not repeated.
        if rest.contains(['@', '?', '#']) {
            return Err(StoreError::Settings(format!(
                "a {}:// place has no credentials, query or fragment: write the bucket and the prefix, and give \
                 credentials by reference",
                service.scheme()
            )));
        }
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_');
        if !(3..=63).contains(&name.len())
            || !name.chars().all(plain)
            || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            return Err(StoreError::Settings(format!(
                "`{}` cannot name a bucket: use 3 to 63 lower-case letters, digits, `-`, `.` or `_`",
                shown(name)
            )));
        }
        let segment = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '='))
        };
        if !prefix.is_empty() && !prefix.split('/').all(segment) {
            return Err(StoreError::Settings(format!(
                "`{}` cannot be a prefix: use letters, digits, `-`, `.`, `_` and `=`, parted by single `/`",
                shown(prefix)
            )));
        }
        Ok(Self { service, name: name.to_owned(), prefix: prefix.to_owned() })
    }
}

/// What may stand in a message of what was written.
fn shown(text: &str) -> String {
    if text.contains(['@', '?']) { "…".into() } else { text.chars().take(80).collect() }
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
            Self::Bucket(Bucket { service, name, prefix }) if prefix.is_empty() => {
                write!(f, "{}://{name}", service.scheme())
            }
            Self::Bucket(Bucket { service, name, prefix }) => write!(f, "{}://{name}/{prefix}", service.scheme()),
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
    /// How a store that is not a folder is reached.
    #[serde(default)]
    pub remote: RemoteConfig,
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
            remote: RemoteConfig::default(),
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
