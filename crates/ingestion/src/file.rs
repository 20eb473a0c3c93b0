//! One file at a time, without a job: what a person looks at first.

use std::path::Path;

use gristmill_frame::{Bounds, SourceSpec, read_file};
use gristmill_stats::profile::{Profile, ProfileOptions, profile};
use gristmill_stats::schema::{Schema, Validation, validate};

use crate::IngestionError;

/// Statistics of every column of a file. Naive timestamps are shown as they are.
///
/// # Errors
/// Whatever is wrong with the file, with line and column; `name` stands for the file.
pub fn profile_file(path: &Path, name: &str, spec: &SourceSpec) -> Result<Profile, IngestionError> {
    let rows = read_file(path, name, spec, &Bounds::default())?;
    Ok(profile(&rows, &ProfileOptions::default()))
}

/// Holds a file against a schema.
///
/// # Errors
/// Whatever is wrong with the file, with line and column. Anomalies are no error here.
pub fn validate_file(
    path: &Path,
    name: &str,
    spec: &SourceSpec,
    schema: &Schema,
) -> Result<Validation, IngestionError> {
    let rows = read_file(path, name, spec, &Bounds::default())?;
    Ok(validate(&rows, schema))
}
