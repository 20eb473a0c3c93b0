//! What stands around workloads: services, images, policies, the scaler, alerts.

use serde_json::Value;

use super::super::{Code, Program, yaml};
use crate::tidy::Finding;

/// Endings that the exposition format adds to a metric's name.
const ENDINGS: [&str; 7] = ["_total", "_bucket", "_count", "_sum", "_seconds", "_bytes", "_info"];
/// Beginnings of our metrics' names.
const METRICS: [&str; 4] = ["gristmill_", "rpc_server_", "http_server_", "process_"];
/// The label by which policies tell pods.
const NAME: &str = "app.kubernetes.io/name";

fn of_kind<'a>(
    documents: impl Iterator<Item = (&'a str, &'a Value)>,
    kind: &'static str,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    documents.filter(move |(_, document)| document["kind"] == kind)
}

fn name(document: &Value) -> String {
    yaml::text(&document["metadata"]["name"])
}

/// A service has its program's ports under their names.
pub(super) fn services<'a>(documents: impl Iterator<Item = (&'a str, &'a Value)>, code: &Code) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, document) in of_kind(documents, "Service") {
        let program = code.programs.binaries().find(|program| program.role() == name(document));
        let Some((grpc, http)) = program.and_then(|program| program.ports) else {
            findings.push(Finding::new(place, format!("there is no program for the service `{}`", name(document))));
            continue;
        };
        let ports: Vec<(String, u64)> = yaml::items(&document["spec"]["ports"])
            .map(|port| (yaml::text(&port["name"]), port["port"].as_u64().unwrap_or(0)))
            .collect();
        if ports != [("grpc".to_owned(), u64::from(grpc)), ("http".to_owned(), u64::from(http))] {
            findings.push(Finding::new(place, format!("its ports are not grpc {grpc} and http {http}")));
        }
    }
    findings
}

/// Images that overlays name are programs of ours, in the workspace's version.
pub(super) fn images<'a>(documents: impl Iterator<Item = (&'a str, &'a Value)>, code: &Code) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, document) in of_kind(documents, "Kustomization") {
        for image in yaml::items(&document["images"]) {
            let of = name(&serde_json::json!({"metadata": {"name": image["name"]}}));
            if !code.programs.binaries().any(|program| program.binary == of) {
                findings.push(Finding::new(place, format!("`{of}` is no image of ours")));
            }
            if yaml::text(&image["newTag"]) != code.version {
                findings.push(Finding::new(place, format!("`{of}`: the workspace's version is {}", code.version)));
            }
        }
    }
    findings
}

/// Policies let through the calls that programs make, and no others.
pub(super) fn calls<'a>(documents: impl Iterator<Item = (&'a str, &'a Value)>, code: &Code) -> Vec<Finding> {
    let mut allowed = Vec::new();
    let mut findings = Vec::new();
    for (place, document) in of_kind(documents, "NetworkPolicy") {
        let pod = yaml::text(&document["spec"]["podSelector"]["matchLabels"][NAME]);
        for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
            for rule in yaml::items(&document["spec"][direction]) {
                for other in yaml::items(&rule[peers]).filter(|other| other.get("namespaceSelector").is_none()) {
                    let other = yaml::text(&other["podSelector"]["matchLabels"][NAME]);
                    if other.is_empty() {
                        continue;
                    }
                    let (from, to) = if direction == "ingress" { (&other, &pod) } else { (&pod, &other) };
                    let port = code.programs.ports(to).map(|ports| u64::from(ports.0));
                    if !yaml::items(&rule["ports"]).any(|one| one["port"].as_u64() == port) {
                        findings.push(Finding::new(place, format!("{direction}: {to} does not listen there")));
                    }
                    allowed.push((place, direction, from.clone(), to.clone()));
                }
            }
        }
    }
    let calls = |program: &Program, to: &str| program.peers().any(|peer| peer == to);
    for (place, direction, from, to) in &allowed {
        if !code.programs.stages().any(|program| program.role() == *from && calls(program, to)) {
            findings.push(Finding::new(*place, format!("{direction}: {from} does not call {to}")));
        }
    }
    for program in code.programs.stages() {
        for to in program.peers() {
            for wanted in ["ingress", "egress"] {
                let is = |entry: &&(&str, &str, String, String)| {
                    entry.1 == wanted && entry.2 == program.role() && entry.3 == to
                };
                if allowed.iter().find(is).is_none() {
                    let message = format!("no policy allows the {wanted} of {} calling {to}", program.role());
                    findings.push(Finding::new(super::FOLDER, message));
                }
            }
        }
    }
    findings
}

/// The scaler is asked where training is, with metadata that it reads.
pub(super) fn scaler<'a>(documents: impl Iterator<Item = (&'a str, &'a Value)>, code: &Code) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, document) in of_kind(documents, "ScaledObject") {
        for trigger in yaml::items(&document["spec"]["triggers"]) {
            let metadata = trigger["metadata"].as_object();
            for (key, value) in metadata.into_iter().flatten() {
                let value = yaml::text(value);
                if key == "scalerAddress" {
                    let stage = value.split('.').next().unwrap_or_default();
                    if code.programs.ports(stage).map(|ports| ports.0) != yaml::port(&value) {
                        findings.push(Finding::new(place, format!("`{value}` is not where {stage} is")));
                    }
                } else if !code.says(key) {
                    findings.push(Finding::new(place, format!("the scaler reads no `{key}`")));
                }
            }
        }
    }
    findings
}

/// Metrics in alerts are metrics of ours.
pub(super) fn alerts<'a>(documents: impl Iterator<Item = (&'a str, &'a Value)>, code: &Code) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, document) in of_kind(documents, "PrometheusRule") {
        let rules = yaml::items(&document["spec"]["groups"]).flat_map(|group| yaml::items(&group["rules"]));
        for rule in rules {
            let expression = yaml::text(&rule["expr"]);
            let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for word in words.filter(|word| METRICS.iter().any(|start| word.starts_with(start))) {
                let mut base = word;
                while !code.says(base)
                    && let Some(shorter) = ENDINGS.iter().find_map(|ending| base.strip_suffix(ending))
                {
                    base = shorter;
                }
                // Labels of ours begin like metrics and stand in the code as fields.
                let is_label = code.text.contains(&format!(" {word}: "));
                if !code.says(base) && !is_label {
                    findings.push(Finding::new(place, format!("the code has no metric `{word}`")));
                }
            }
        }
    }
    findings
}

/// Secrets are named, never written.
pub(super) fn no_secrets<'a>(documents: impl Iterator<Item = (&'a str, &'a Value)>) -> Vec<Finding> {
    let written =
        documents.filter(|(_, document)| document["kind"] == "Secret" || document.get("secretGenerator").is_some());
    written
        .map(|(place, _)| Finding::new(place, "a secret does not belong into a file: name one that is there"))
        .collect()
}
