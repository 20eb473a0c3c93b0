//! What a process allows its ingestion jobs.

use std::path::{Path, PathBuf};

use gristmill_frame::Bounds;
use gristmill_frame::child::Program;

use crate::IngestionError;

/// Settings of the stage in one process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folders below which `file:` sources may lie; none by default.
    pub roots: Vec<PathBuf>,
    /// What one integration may use.
    pub bounds: Bounds,
    /// The program that is started for an integration; its `main` first calls
    /// `gristmill_frame::child::main_if_child`.
    pub program: Program,
    /// Jobs at a time.
    pub at_a_time: usize,
    /// Where rows lie until they are stored; the system's folder for temporary files if none.
    pub scratch: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { roots: Vec::new(), bounds: Bounds::default(), program: Program::this(), at_a_time: 2, scratch: None }
    }
}

/// The path in a `file:` address, not yet looked at.
///
/// # Errors
/// [`IngestionError::Spec`] if it is no absolute `file:` address.
pub(crate) fn file_path<'a>(field: &str, uri: &'a str) -> Result<&'a Path, IngestionError> {
    let refused = |message: &str| Err(IngestionError::spec(field, message));
    let Some(rest) = uri.strip_prefix("file:") else {
        return refused("only `file:` addresses are read; upload anything else as an artifact");
    };
    let path = Path::new(rest.strip_prefix("//").unwrap_or(rest));
    if !path.is_absolute() || path.components().any(|part| matches!(part, std::path::Component::ParentDir)) {
        return refused("write an absolute path without `..`, such as file:///data/flights.parquet");
    }
    Ok(path)
}

impl Settings {
    /// Finds a `file:` source below the allowed roots, links resolved.
    ///
    /// # Errors
    /// [`IngestionError::Spec`] if it is not below one, [`gristmill_frame::Error::Open`] if it is not there.
    pub(crate) fn resolve(&self, field: &str, source: &str, uri: &str) -> Result<PathBuf, IngestionError> {
        let path = file_path(field, uri)?;
        let outside = || {
            IngestionError::spec(
                field,
                "is not below a folder that this server allows: upload the file, or have its folder added to the allowed roots",
            )
        };
        // Before the file is looked for, so that nobody learns what lies elsewhere.
        if !self.roots.iter().any(|root| path.starts_with(root)) {
            return Err(outside());
        }
        let resolved = path.canonicalize().map_err(|error| gristmill_frame::Error::Open {
            source_name: source.to_owned(),
            detail: error.kind().to_string(),
        })?;
        let roots = self.roots.iter().filter_map(|root| root.canonicalize().ok());
        if roots.into_iter().any(|root| resolved.starts_with(root)) { Ok(resolved) } else { Err(outside()) }
    }
}
