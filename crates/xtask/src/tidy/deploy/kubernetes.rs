//! `deploy/k8s`: workloads, services, policies, the scaler and the alerts.

mod around;
mod workload;

use std::path::Path;

use serde_json::Value;

use super::{Code, arguments, variables, yaml};
use crate::tidy::Finding;
use workload::Workload;

const FOLDER: &str = "deploy/k8s";

pub(super) fn check(root: &Path, code: &Code) -> anyhow::Result<Vec<Finding>> {
    let folder = root.join(FOLDER);
    let mut files = Vec::new();
    for path in yaml::below(&folder, &["yaml"])? {
        let place = path.strip_prefix(root)?.to_string_lossy().into_owned();
        files.extend(yaml::documents(&path)?.into_iter().map(|document| (place.clone(), path.clone(), document)));
    }
    let shared = yaml::environment(&folder.join("base/shared.env"))?;
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for (place, path, document) in &files {
        let is_workload = matches!(document["kind"].as_str(), Some("Deployment" | "StatefulSet" | "Job"));
        if is_workload && document["spec"]["template"]["spec"]["containers"][0].get("image").is_some() {
            let workload = Workload { place, document, folder: path.parent().unwrap_or(root), shared: &shared };
            seen.extend(workload.check(code, &mut findings)?);
        } else if is_workload {
            patch(place, document, code, &mut findings);
        }
    }
    for role in code.programs.stages().map(super::Program::role).filter(|role| !seen.contains(role)) {
        findings.push(Finding::new(FOLDER, format!("nothing runs `{role}`")));
    }
    let documents = || files.iter().map(|(place, _, document)| (place.as_str(), document));
    for path in yaml::below(&folder, &["env"])? {
        let place = path.strip_prefix(root)?.to_string_lossy().into_owned();
        let lines = yaml::environment(&path)?;
        for program in code.programs.stages() {
            variables(
                &place,
                program,
                lines.iter().map(|(name, value)| (name.as_str(), value.as_str())),
                &mut findings,
            );
        }
    }
    findings.extend(around::services(documents(), code));
    findings.extend(around::images(documents(), code));
    findings.extend(around::calls(documents(), code));
    findings.extend(around::scaler(documents(), code));
    findings.extend(around::alerts(documents(), code));
    findings.extend(around::no_secrets(documents()));
    findings.sort();
    findings.dedup();
    Ok(findings)
}

/// A patch: its variables and words must be known to the workload that it is for.
fn patch(place: &str, document: &Value, code: &Code, findings: &mut Vec<Finding>) {
    let name = yaml::text(&document["metadata"]["name"]);
    let name = name.strip_suffix("-migration").unwrap_or(&name);
    let role = |role: String| role == name || name == "every";
    for program in code.programs.binaries().chain(code.programs.stages()).filter(|program| role(program.role())) {
        for container in yaml::items(&document["spec"]["template"]["spec"]["containers"]) {
            let listed: Vec<(String, String)> = yaml::items(&container["env"])
                .map(|entry| (yaml::text(&entry["name"]), yaml::text(&entry["value"])))
                .collect();
            let pairs = listed.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            variables(place, program, pairs, findings);
            let words = yaml::texts(&container["args"]);
            if !words.is_empty() {
                arguments(place, program, &words, findings);
            }
        }
    }
}
