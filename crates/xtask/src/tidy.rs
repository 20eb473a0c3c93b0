//! The house rules, executed: each finding names the file, the line, the rule and its reason.

mod deploy;
mod form;
mod graph;
mod invariants;
mod logs;
mod source;

use anyhow::bail;

use crate::codegen::root;

/// One broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where: a path from the root, with a line where there is one.
    pub place: String,
    /// What is wrong and why it matters.
    pub message: String,
}

impl Finding {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }

    fn at(source: &source::Source, line: usize, message: impl Into<String>) -> Self {
        Self::new(format!("{}:{line}", source.path), message)
    }
}

/// Runs every check and lists what was found; with `bless`, first takes the crate graph as it is.
pub fn run(bless: bool) -> anyhow::Result<()> {
    let root = root();
    let graph = graph::Graph::read(&root)?;
    if bless {
        graph.bless(&root)?;
    }
    let sources = source::Source::all(&root)?;
    let mut findings = graph.check(&root)?;
    for source in &sources {
        findings.extend(form::check(source));
        findings.extend(logs::check(source));
        findings.extend(invariants::check(source));
    }
    findings.extend(form::layout(&root)?);
    findings.extend(deploy::check(&root, &sources)?);
    if findings.is_empty() {
        println!("tidy: {} files, {} crates, nothing to say", sources.len(), graph.len());
        return Ok(());
    }
    findings.sort();
    for finding in &findings {
        eprintln!("{}: {}", finding.place, finding.message);
    }
    bail!("tidy: {} findings", findings.len())
}
