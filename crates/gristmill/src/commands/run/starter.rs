//! The pipeline file for a single file of data: short, with everything left to the defaults.

use std::path::{Path, PathBuf};

use gristmill_types::Digest;

use super::{Pipeline, data};
use crate::cli::Run;
use crate::failure::Failure;
use gristmill_proto::table::FileFormat;

/// Begins the first line of a file that was written here; the digest of the rest follows, so that a
/// file that somebody has changed is told from one that may be written again.
const MARK: &str = "# Written by `gristmill run`, change it as you like. ";

/// How many files of one name are tried before giving up.
const TRIES: u32 = 100;

/// Makes up the pipeline file of `run` and writes it into the working directory.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(run: &Run, target: &str) -> Result<Pipeline, Failure> {
    let stem = stem(&run.path);
    for number in 0..TRIES {
        let path = PathBuf::from(match number {
            0 => format!("{stem}.pipeline.yaml"),
            number => format!("{stem}.pipeline.{number}.yaml"),
        });
        if untouched(&path) {
            let body = body(run, target, &stem, &relative(&run.path)?);
            let text = format!("{MARK}{}\n{body}", Digest::of(body.as_bytes()));
            std::fs::write(&path, &text)
                .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", path.display())))?;
            return Ok(Pipeline { text: body, path });
        }
    }
    Err(Failure::failed(format!("{TRIES} files named {stem}.pipeline….yaml were changed by hand: move some away")))
}

/// Whether nothing is lost by writing here.
fn untouched(path: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(path) else { return !path.exists() };
    let Some((first, body)) = text.split_once('\n') else { return false };
    first.strip_prefix(MARK).is_some_and(|digest| digest == Digest::of(body.as_bytes()).to_string())
}

fn body(run: &Run, target: &str, stem: &str, path: &str) -> String {
    let name = run.name.clone().unwrap_or_else(|| stem.to_owned());
    // A source is a table name in SQL, where `input` is the table so far.
    let source = if stem == "input" { "data".to_owned() } else { stem.replace('-', "_") };
    let mut text = format!(
        "apiVersion: gristmill/v1alpha1\nkind: Pipeline\nname: {}\n\nsources:\n  {source}:\n    path: {}\n",
        scalar(&name),
        scalar(path)
    );
    if data::file_format(&run.path) == FileFormat::Csv {
        text.push_str("    csv: { nulls: [NA] }\n");
    }
    text.push_str(&format!("\npreparation:\n  target: {}\n", scalar(target)));
    if let Some(trials) = run.trials {
        text.push_str(&format!("\ntraining:\n  trials: {trials}\n"));
    }
    text
}

/// The data file as seen from the working directory, where the pipeline file will be.
fn relative(path: &Path) -> Result<String, Failure> {
    let here = std::env::current_dir()?.canonicalize()?;
    let path = path.canonicalize()?;
    let seen = path.strip_prefix(&here).map(Path::to_path_buf).unwrap_or(path);
    let text = seen.to_str();
    text.map(str::to_owned).ok_or_else(|| Failure::usage("the path of the data file is not UTF-8: rename it"))
}

/// The file's name as a name of ours: lower-case letters, digits, `-` and `_`, beginning with a letter.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.split('.').next().unwrap_or_default();
    let cleaned: String =
        name.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' { c } else { '_' }).collect();
    let begins = cleaned.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let kept: String = begins.chars().take(63).collect();
    if kept.is_empty() { "data".into() } else { kept }
}

/// A text as a YAML scalar, quoted where it could be read as something else.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    // A JSON string is a YAML string.
    if plain { text.to_owned() } else { serde_json::Value::from(text.replace('$', "$$")).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_scalars_are_safe() {
        let cases = [
            ("Visits 2024.csv", "visits_2024"),
            ("2024.csv.gz", "data"),
            ("ü.csv", "data"),
            ("a-b_c.parquet", "a-b_c"),
        ];
        for (file, name) in cases {
            assert_eq!(stem(Path::new(file)), name);
        }
        assert_eq!(scalar("late"), "late");
        // YAML 1.1 reads them as truth values, and some readers still do.
        assert_eq!(scalar("y"), "\"y\"");
        assert_eq!(scalar("no"), "\"no\"");
        assert_eq!(scalar("a: b"), "\"a: b\"");
        assert_eq!(scalar("cost $"), "\"cost $$\"");
    }

    #[test]
    fn a_changed_file_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pipeline.yaml");
        assert!(untouched(&path));
        let body = "kind: Pipeline\n";
        std::fs::write(&path, format!("{MARK}{}\n{body}", Digest::of(body.as_bytes()))).unwrap();
        assert!(untouched(&path));
        std::fs::write(&path, format!("{MARK}{}\n{body}name: x\n", Digest::of(body.as_bytes()))).unwrap();
        assert!(!untouched(&path));
    }
}
