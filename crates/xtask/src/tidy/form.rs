//! Form of files and crates: headers, length, leftovers, names.

use std::path::Path;

use anyhow::Context;

use super::Finding;
use super::source::Source;

/// Longest file that people wrote.
const LINES: usize = 600;

/// Names that say nothing (I10): what is in them belongs to somebody.
const NAMELESS: [&str; 6] = ["common", "util", "utils", "helper", "helpers", "misc"];

/// Checks one file.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let first = source.text.lines().next().unwrap_or_default();
    if !first.starts_with("//!") && !first.starts_with("#![doc = include_str!(") {
        findings.push(Finding::at(source, 1, "a file begins with one line `//!` that says what it is for"));
    }
    let lines = source.text.lines().count();
    if lines > LINES {
        findings.push(Finding::new(&source.path, format!("{lines} lines, at most {LINES}: split it by subject")));
    }
    for (at, line) in source.text.lines().enumerate() {
        // Spelt in two parts, or this file would find itself.
        for word in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")] {
            if words(line).any(|found| found == word) {
                findings.push(Finding::at(source, at + 1, format!("{word}: finish it, or write an issue")));
            }
        }
    }
    let stem = source.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    if NAMELESS.contains(&stem) || source.path.split('/').any(|part| NAMELESS.contains(&part)) {
        findings.push(Finding::new(&source.path, "I10: name a module after what it holds"));
    }
    findings
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// Checks what every crate has: a README that is its documentation, and one integration-test binary.
pub fn layout(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for entry in std::fs::read_dir(root.join("crates")).context("crates/")? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = format!("crates/{name}");
        if NAMELESS.contains(&name.as_str()) {
            findings.push(Finding::new(&place, "I10: no crate of this name"));
        }
        let library = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap_or_default();
        if !library.is_empty() {
            if !folder.join("README.md").is_file() {
                findings.push(Finding::new(&place, "a crate has a README.md: purpose, way through it, failure modes"));
            }
            if !library.contains("include_str!(\"../README.md\")") {
                findings.push(Finding::new(format!("{place}/src/lib.rs"), "the README is the crate's documentation"));
            }
        }
        let tests = std::fs::read_dir(folder.join("tests")).into_iter().flatten().flatten();
        let binaries =
            tests.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs")).count();
        if binaries > 1 {
            let message = format!("{binaries} integration-test binaries: one `tests/it.rs` with modules links once");
            findings.push(Finding::new(format!("{place}/tests"), message));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path.into(), text.into())).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_file_in_form_has_no_findings_and_each_fault_has_one() {
        assert!(messages("crates/a/src/mill.rs", "//! Mills.\n").is_empty());
        assert!(messages("crates/a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n").is_empty());
        assert_eq!(messages("crates/a/src/mill.rs", "fn a() {}\n").len(), 1);
        let todo = format!("//! Mills.\n// {}: grind\n", concat!("TO", "DO"));
        assert!(messages("crates/a/src/mill.rs", &todo)[0].contains("write an issue"));
        assert!(messages("crates/a/src/mill.rs", &format!("//! Mills.\n{}", "\n".repeat(LINES)))[0].contains("split"));
        assert!(messages("crates/a/src/utils.rs", "//! Mills.\n")[0].contains("I10"));
    }
}
