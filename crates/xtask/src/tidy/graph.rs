//! The crate graph: a golden file of internal edges, and what each layer may reach.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::Finding;

/// The golden file, from the root.
const GOLDEN: &str = "crates/xtask/golden/dag.txt";

/// The stages: siblings without arrows between them (I1).
pub const STAGES: [&str; 8] =
    ["ingestion", "preparation", "training", "evaluation", "registry", "serving", "monitoring", "pipeline"];

/// Pure crates, and what they must not reach by any path (I2).
const PURE: [&str; 7] = ["types", "model", "stats", "learn", "report", "export", "edge"];
const IMPURE: [&str; 4] = ["tokio", "tonic", "polars", "object_store"];

/// Crates that alone may name a dependency (I4).
const OWNERS: [(&str, &[&str]); 2] = [("object_store", &["store"]), ("sqlx", &["runtime", "jobs"])];

/// Our crates and their normal dependencies; those of tests are free.
#[derive(Debug)]
pub struct Graph {
    /// Internal edges by short name.
    internal: BTreeMap<String, BTreeSet<String>>,
    /// Foreign crates that each of ours names.
    named: BTreeMap<String, BTreeSet<String>>,
    /// Everything each of ours reaches by normal dependencies.
    reached: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Asks cargo.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(root)
            .output()
            .context("cargo metadata cannot be started")?;
        ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        Self::parse(&serde_json::from_slice(&output.stdout)?)
    }

    fn parse(metadata: &Value) -> anyhow::Result<Self> {
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let names: BTreeMap<String, String> =
            list(metadata, "packages").iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let mut edges: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for node in list(&metadata["resolve"], "nodes") {
            let normal = list(&node, "deps")
                .into_iter()
                .filter(|dep| list(dep, "dep_kinds").iter().any(|kind| kind["kind"].is_null()));
            edges.insert(text(&node["id"]), normal.map(|dep| text(&dep["pkg"])).collect());
        }
        let mut graph = Self { internal: BTreeMap::new(), named: BTreeMap::new(), reached: BTreeMap::new() };
        let members: BTreeSet<String> = list(metadata, "workspace_members").iter().map(text).collect();
        for id in &members {
            let ours = short(&names[id]);
            let direct = edges.get(id).cloned().unwrap_or_default();
            let (inside, outside): (Vec<_>, Vec<_>) = direct.into_iter().partition(|id| members.contains(id));
            graph.internal.insert(ours.clone(), inside.iter().map(|id| short(&names[id])).collect());
            graph.named.insert(ours.clone(), outside.iter().map(|id| names[id].clone()).collect());
            let (mut seen, mut open) = (BTreeSet::new(), vec![id.clone()]);
            while let Some(id) = open.pop() {
                for next in edges.get(&id).into_iter().flatten() {
                    if seen.insert(next.clone()) {
                        open.push(next.clone());
                    }
                }
            }
            graph.reached.insert(ours, seen.iter().map(|id| names[id].clone()).collect());
        }
        Ok(graph)
    }

    /// How many crates are ours.
    pub fn len(&self) -> usize {
        self.internal.len()
    }

    /// One line per crate: `store: runtime types`.
    fn render(&self) -> String {
        let mut text = String::from(
            "# Internal edges of the crate graph; `cargo xtask tidy --bless` after a decision to change one.\n",
        );
        for (name, edges) in &self.internal {
            let edges: Vec<&str> = edges.iter().map(String::as_str).collect();
            text.push_str(format!("{name}: {}", edges.join(" ")).trim_end());
            text.push('\n');
        }
        text
    }

    /// Writes the golden file.
    pub fn bless(&self, root: &Path) -> anyhow::Result<()> {
        let path = root.join(GOLDEN);
        std::fs::create_dir_all(path.parent().context("the golden file has a folder")?)?;
        std::fs::write(&path, self.render()).context(GOLDEN)
    }

    /// Compares with the golden file and applies I1, I2, I4 and I10.
    pub fn check(&self, root: &Path) -> anyhow::Result<Vec<Finding>> {
        let golden = std::fs::read_to_string(root.join(GOLDEN)).context(GOLDEN)?;
        let mut findings = self.compare(&golden);
        findings.extend(self.rules());
        Ok(findings)
    }

    fn compare(&self, golden: &str) -> Vec<Finding> {
        let now = self.render();
        let (was, is): (BTreeSet<&str>, BTreeSet<&str>) = (golden.lines().collect(), now.lines().collect());
        let gone = was.difference(&is).map(|line| format!("- {line}"));
        let new = is.difference(&was).map(|line| format!("+ {line}"));
        let message = |line| format!("{line} (a new edge is a decision: `cargo xtask tidy --bless` after it)");
        gone.chain(new).map(|line| Finding::new(GOLDEN, message(line))).collect()
    }

    fn rules(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (name, edges) in &self.internal {
            let place = format!("crates/{name}/Cargo.toml");
            if STAGES.contains(&name.as_str()) {
                for other in edges.iter().filter(|other| STAGES.contains(&other.as_str())) {
                    let message =
                        format!("I1: `{name}` depends on the stage `{other}`: call it through its generated client");
                    findings.push(Finding::new(&place, message));
                }
            }
            if PURE.contains(&name.as_str()) {
                for banned in IMPURE.iter().filter(|banned| self.reached[name].contains(**banned)) {
                    findings.push(Finding::new(&place, format!("I2: `{name}` is pure and reaches `{banned}`")));
                }
            }
            for (dependency, owners) in OWNERS {
                if self.named[name].contains(dependency) && !owners.contains(&name.as_str()) {
                    let message = format!("I4: only {} may name `{dependency}`", owners.join(" and "));
                    findings.push(Finding::new(&place, message));
                }
            }
        }
        findings
    }
}

fn short(package: &str) -> String {
    package.strip_prefix("gristmill-").unwrap_or(package).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn graph(edges: &[(&str, &[&str])]) -> Graph {
        let mut names = BTreeSet::new();
        for (from, to) in edges {
            names.insert(*from);
            names.extend(to.iter().copied());
        }
        let ours = |name: &&str| name.starts_with("gristmill");
        let deps = |name: &str| {
            let to = edges.iter().find(|(from, _)| *from == name).map_or(&[][..], |(_, to)| to);
            to.iter().map(|to| json!({"pkg": to, "dep_kinds": [{"kind": null}]})).collect::<Vec<_>>()
        };
        let metadata = json!({
            "packages": names.iter().map(|name| json!({"id": name, "name": name})).collect::<Vec<_>>(),
            "workspace_members": names.iter().filter(|name| ours(name)).collect::<Vec<_>>(),
            "resolve": {"nodes": names.iter().map(|name| json!({"id": name, "deps": deps(name)})).collect::<Vec<_>>()},
        });
        Graph::parse(&metadata).unwrap()
    }

    #[test]
    fn edges_are_compared_and_rules_applied() {
        let good = graph(&[
            ("gristmill-store", &["gristmill-types", "object_store"]),
            ("gristmill-stats", &["gristmill-types"]),
        ]);
        let golden = good.render();
        assert!(golden.contains("\nstore: types\n"), "{golden}");
        assert!(good.compare(&golden).is_empty() && good.rules().is_empty());
        let bad = graph(&[
            ("gristmill-training", &["gristmill-ingestion"]),
            ("gristmill-stats", &["nice"]),
            ("nice", &["tokio"]),
            ("gristmill-jobs", &["object_store"]),
        ]);
        assert!(!bad.compare(&golden).is_empty());
        let rules: Vec<String> = bad.rules().into_iter().map(|finding| finding.message).collect();
        assert_eq!(rules.len(), 3, "{rules:?}");
        for (rule, number) in rules.iter().zip(["I4", "I2", "I1"]) {
            assert!(rule.starts_with(number), "{rules:?}");
        }
    }
}
