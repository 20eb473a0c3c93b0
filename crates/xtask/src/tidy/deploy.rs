//! What `deploy/` and `docker-compose.yml` say, held against the code: programs, verbs, flags, settings, ports,
//! services, metrics. Neither can move without the other.

mod compose;
mod dockerfile;
mod kubernetes;
mod programs;
#[cfg(test)]
mod rendered;
mod rust;
#[cfg(test)]
mod tests;
mod yaml;

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::Finding;
use super::source::Source;
use programs::{Program, Programs};

/// Where variables of ours begin.
const PREFIX: &str = "GRISTMILL_";

/// Checks every file.
pub fn check(root: &Path, sources: &[Source]) -> anyhow::Result<Vec<Finding>> {
    files(root, &Code::read(root, sources)?)
}

fn files(root: &Path, code: &Code) -> anyhow::Result<Vec<Finding>> {
    let mut findings = kubernetes::check(root, code)?;
    findings.extend(compose::check(root, code)?);
    findings.extend(dockerfile::check(root, code)?);
    Ok(findings)
}

/// What the code has.
struct Code {
    programs: Programs,
    /// gRPC services with their package.
    services: Vec<String>,
    /// All code outside tests, to look for literals.
    text: String,
    version: String,
    toolchain: String,
    manifest: String,
}

impl Code {
    fn read(root: &Path, sources: &[Source]) -> anyhow::Result<Self> {
        let product = || sources.iter().filter(|source| !source.is_test() && source.crate_name() != "xtask");
        let manifest = std::fs::read_to_string(root.join("Cargo.toml")).context("Cargo.toml")?;
        let toolchain = std::fs::read_to_string(root.join("rust-toolchain.toml")).context("rust-toolchain.toml")?;
        Ok(Self {
            programs: Programs::read(product())?,
            services: services(&root.join("proto"))?,
            text: product().map(|source| source.text.as_str()).collect(),
            version: quoted(&manifest, "version").context("Cargo.toml: version")?,
            toolchain: quoted(&toolchain, "channel").context("rust-toolchain.toml: channel")?,
            manifest,
        })
    }

    /// Whether a text stands in the code as a literal.
    fn says(&self, literal: &str) -> bool {
        self.text.contains(&format!("\"{literal}\""))
    }
}

/// The first `key = "value"` at the beginning of a line.
fn quoted(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.split('=').next().is_some_and(|name| name.trim() == key))?;
    line.split('"').nth(1).map(str::to_owned)
}

fn services(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for path in yaml::below(folder, &["proto"])? {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let after = |word: &str, line: &str| {
            line.strip_prefix(word).map(|rest| rest.trim().trim_end_matches(['{', ';', ' ']).to_owned())
        };
        let package = text.lines().find_map(|line| after("package ", line)).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| after("service ", line)).map(|name| format!("{package}.{name}")));
    }
    Ok(found)
}

/// The stage whose endpoint a key sets.
fn endpoint_of(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("peers.")?;
    let stage = rest.strip_suffix(".endpoint").unwrap_or(rest);
    (!stage.contains('.')).then_some(stage)
}

/// Checks variables of one container: ours must be settings of its program.
fn variables<'a>(
    place: &str,
    program: &Program,
    names: impl Iterator<Item = (&'a str, &'a str)>,
    findings: &mut Vec<Finding>,
) {
    for (name, value) in names {
        let Some(key) = name.strip_prefix(PREFIX) else { continue };
        let key = key.to_lowercase().replace("__", ".");
        if let Err(why) = program.knows(&key) {
            findings.push(Finding::new(place, format!("{name}: {why}")));
        }
        if let Some(stage) = endpoint_of(&key) {
            findings.extend(program.peer(stage, value).err().map(|why| Finding::new(place, format!("{name}: {why}"))));
        }
    }
}

/// Checks a settings file: every key, and the endpoints of peers.
fn settings(place: &str, program: &Program, file: &Value, findings: &mut Vec<Finding>) {
    let mut leaves = Vec::new();
    yaml::leaves("", file, &mut leaves);
    for (key, value) in &leaves {
        if let Err(why) = program.knows(key) {
            findings.push(Finding::new(place, why));
        }
        if let Some(stage) = endpoint_of(key) {
            let checked = program.peer(stage, value.as_str().unwrap_or_default());
            findings.extend(checked.err().map(|why| Finding::new(place, why)));
        }
    }
    for peer in program.peers().filter(|peer| file["peers"].get(peer).is_none()) {
        // A worker is told where its one peer is by a flag.
        if program.verbs().all(|verb| verb != "work") {
            findings.push(Finding::new(place, format!("peers.{peer} is missing: {} calls it", program.binary)));
        }
    }
}

/// Checks the words after a program's name.
fn arguments(place: &str, program: &Program, words: &[String], findings: &mut Vec<Finding>) {
    match words.first() {
        Some(verb) if program.verbs().any(|known| known == *verb) => {}
        verb => {
            let verb = verb.map_or("none", String::as_str);
            findings.push(Finding::new(place, format!("{} has no command `{verb}`", program.binary)));
        }
    }
    for (at, word) in words.iter().enumerate().filter(|(_, word)| word.starts_with("--")) {
        if !program.flags().any(|flag| format!("--{flag}") == *word) {
            findings.push(Finding::new(place, format!("{} has no flag `{word}`", program.binary)));
        }
        if word == "--endpoint"
            && let Some(endpoint) = words.get(at + 1)
        {
            let reached = program.peers().map(|stage| program.peer(stage, endpoint));
            let wrong = reached.filter_map(Result::err).map(|why| Finding::new(place, why));
            findings.extend(wrong);
        }
    }
}
