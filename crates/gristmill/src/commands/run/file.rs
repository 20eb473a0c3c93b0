//! The pipeline file as the command line sees it: its text, and the files that it names.

use std::collections::BTreeSet;
use std::path::Path;

use gristmill_pipeline::file::{Given, Interval, Pipeline as Checked};

use super::Pipeline;
use crate::cli::Run;
use crate::failure::Failure;

/// Largest pipeline file, bytes.
const FILE_BYTES: u64 = 1 << 20;

/// Endings of files that hold data, not a pipeline.
const DATA: [&str; 5] = [".csv", ".tsv", ".gz", ".parquet", ".pq"];

/// Reads a pipeline file.
///
/// # Errors
/// It is none, or cannot be read.
pub(super) fn read(path: &Path) -> Result<Pipeline, Failure> {
    let name = path.to_string_lossy().to_lowercase();
    if DATA.iter().any(|ending| name.ends_with(ending)) {
        let message = format!("{} holds data: name the column to predict with --target", path.display());
        return Err(Failure::usage(message));
    }
    let size = std::fs::metadata(path)?.len();
    if size > FILE_BYTES {
        let message = format!("{} has {size} bytes, a pipeline file at most {FILE_BYTES}", path.display());
        return Err(Failure::usage(message));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{} is no pipeline file: {error}", path.display())))?;
    Ok(Pipeline { text, path: path.to_owned() })
}

/// Checks the file here, before anything is started.
///
/// # Errors
/// What is wrong, with line and key.
pub(super) fn check(pipeline: &Pipeline, run: &Run) -> Result<Checked, Failure> {
    let interval = Interval {
        start: run.interval_start.clone().unwrap_or_default(),
        end: run.interval_end.clone().unwrap_or_default(),
    };
    let given = Given { parameters: run.params.iter().cloned().collect(), interval };
    Checked::parse(&pipeline.text, &given)
        .map_err(|error| Failure::usage(format!("{}: {error}", pipeline.path.display())))
}

/// The local files that a pipeline names, as it names them, each once.
pub(super) fn paths(checked: &Checked) -> BTreeSet<String> {
    let named = checked.sources.values().map(|source| source.path.clone());
    // `file:` names a place of the server's, not of this machine.
    named.filter(|path| !path.starts_with("file:")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_told_from_a_pipeline() {
        let failure = read(Path::new("x.csv")).err().unwrap();
        assert!(failure.message.contains("--target"), "{failure}");
    }
}
