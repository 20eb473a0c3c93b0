//! `docker-compose.yml`: its containers of ours.

use std::path::Path;

use serde_json::Value;

use super::{Code, arguments, variables, yaml};
use crate::tidy::Finding;

const PLACE: &str = "docker-compose.yml";

pub(super) fn check(root: &Path, code: &Code) -> anyhow::Result<Vec<Finding>> {
    let file = yaml::document(&root.join(PLACE))?;
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for (name, service) in file["services"].as_object().into_iter().flatten() {
        let image = yaml::text(&service["image"]);
        if !image.starts_with("gristmill") {
            continue;
        }
        let place = format!("{PLACE}: {name}");
        if !image.ends_with(&format!(":{}", code.version)) {
            findings.push(Finding::new(&place, format!("`{image}`: the workspace's version is {}", code.version)));
        }
        for words in commands(service) {
            let verb = words.first().map(String::as_str).unwrap_or_default();
            let Some(program) = code.programs.of(&image, verb) else {
                findings.push(Finding::new(&place, format!("no program of `{image}` has a command `{verb}`")));
                continue;
            };
            seen.push(program.role());
            arguments(&place, program, &words, &mut findings);
            let environment = service["environment"].as_object().into_iter().flatten();
            let environment: Vec<(String, String)> =
                environment.map(|(name, value)| (name.clone(), yaml::text(value))).collect();
            let pairs = || environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            variables(&place, program, pairs(), &mut findings);
            for peer in program.peers() {
                let told = words.iter().any(|word| word == "--endpoint");
                let variable = format!("GRISTMILL_PEERS__{}", peer.to_uppercase());
                if !told && !pairs().any(|(name, _)| name.starts_with(&variable)) {
                    findings.push(Finding::new(&place, format!("{variable} is missing: {name} calls it")));
                }
            }
            if let Some((grpc, http)) = program.ports {
                for (variable, port) in [("GRISTMILL_GRPC", grpc), ("GRISTMILL_HTTP", http)] {
                    let set = pairs().find(|(name, _)| *name == variable).and_then(|(_, value)| yaml::port(value));
                    if set != Some(port) {
                        findings.push(Finding::new(&place, format!("{variable} is not on the stage's port {port}")));
                    }
                }
                for published in yaml::texts(&service["ports"]) {
                    if !yaml::port(&published).is_some_and(|port| port == grpc || port == http) {
                        findings.push(Finding::new(&place, format!("`{published}` leads to no port of {name}")));
                    }
                }
            }
            findings.extend(secrets(&place, service, pairs()));
        }
    }
    for role in code.programs.stages().map(super::Program::role).filter(|role| !seen.contains(role)) {
        findings.push(Finding::new(PLACE, format!("`{role}` is not among the services")));
    }
    findings.sort();
    findings.dedup();
    Ok(findings)
}

/// The words after the program's name, for every time that it is started.
fn commands(service: &Value) -> Vec<Vec<String>> {
    let entry = yaml::texts(&service["entrypoint"]);
    let command = yaml::texts(&service["command"]);
    match entry.iter().find(|word| word.contains("$$0 ")) {
        // A shell's line, in which `$0` is the program.
        Some(line) => line
            .split("$$0 ")
            .skip(1)
            .map(|rest| rest.split_whitespace().take_while(|word| *word != "&&").map(str::to_owned).collect())
            .collect(),
        None => vec![command],
    }
}

/// Files that variables name lie in volumes that are mounted.
fn secrets<'a>(place: &str, service: &Value, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Finding> {
    let mounts: Vec<String> = yaml::texts(&service["volumes"])
        .iter()
        .filter_map(|mount| mount.split(':').nth(1))
        .map(str::to_owned)
        .collect();
    let path = |value: &'a str| value.strip_prefix("file:").unwrap_or(value);
    pairs
        .filter(|(_, value)| path(value).starts_with("/run/secrets/"))
        .filter(|(_, value)| !mounts.iter().any(|mount| path(value).starts_with(&format!("{mount}/"))))
        .map(|(name, value)| Finding::new(place, format!("{name}: nothing is mounted at `{value}`")))
        .collect()
}
