//! One workload: its program, settings, ports, probes and how long it has to end.

use std::path::Path;

use serde_json::Value;

use super::super::{Code, Program, arguments, settings, yaml};
use crate::tidy::Finding;

/// Where the settings file is mounted.
const SETTINGS: &str = "/etc/gristmill/";
/// Where secrets are.
const SECRETS: &str = "/run/secrets/gristmill/";
/// Seconds beyond the drain for the last spans and the end of the process.
const SPARE: u64 = 10;

pub(super) struct Workload<'a> {
    pub place: &'a str,
    pub document: &'a Value,
    /// The folder of its files.
    pub folder: &'a Path,
    /// Variables that every stage has.
    pub shared: &'a [(String, String)],
}

impl Workload<'_> {
    /// Checks it; gives back what its program is.
    pub(super) fn check(&self, code: &Code, findings: &mut Vec<Finding>) -> anyhow::Result<Option<String>> {
        let pod = &self.document["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let words = yaml::texts(&container["args"]);
        let image = yaml::text(&container["image"]);
        let verb = words.first().map(String::as_str).unwrap_or_default();
        let Some(program) = code.programs.of(&image, verb) else {
            self.find(findings, format!("no program of `{image}` has a command `{verb}`"));
            return Ok(None);
        };
        arguments(self.place, program, &words, findings);
        let file = match words.iter().find_map(|word| word.strip_prefix(SETTINGS)) {
            Some(name) => yaml::document(&self.folder.join(name))?,
            None => Value::Null,
        };
        settings(self.place, program, &file, findings);
        self.secrets(pod, &file, program, findings);
        if self.document["kind"] == "Job" {
            return Ok(None);
        }
        self.ports(container, &file, program, code, findings);
        self.probes(container, code, findings);
        self.grace(pod, container, &file, program, findings);
        Ok(Some(program.role()))
    }

    fn find(&self, findings: &mut Vec<Finding>, message: String) {
        findings.push(Finding::new(self.place, message));
    }

    /// The settings, the container's ports and the code agree.
    fn ports(&self, container: &Value, file: &Value, program: &Program, code: &Code, findings: &mut Vec<Finding>) {
        for (name, default) in
            [("grpc", program.ports.map(|ports| ports.0)), ("http", program.ports.map(|ports| ports.1))]
        {
            let set = yaml::port(&yaml::text(&file[name]));
            if default.is_some() && set != default {
                self.find(findings, format!("{name} is not on the program's own port {}", default.unwrap_or_default()));
            }
            let of_another = |program: &Program| program.ports.is_some_and(|(a, b)| set == Some(a) || set == Some(b));
            if default.is_none() && code.programs.binaries().any(of_another) {
                self.find(findings, format!("{name} is on the port of a stage"));
            }
            let declared = yaml::items(&container["ports"]).find(|port| port["name"] == name);
            if declared.and_then(|port| port["containerPort"].as_u64()) != set.map(u64::from) {
                self.find(findings, format!("the container's port `{name}` is not the one in its settings"));
            }
        }
    }

    /// Probes ask ports and services that are there.
    fn probes(&self, container: &Value, code: &Code, findings: &mut Vec<Finding>) {
        let port = |name: &str| {
            yaml::items(&container["ports"])
                .find(|port| port["name"] == name)
                .and_then(|port| port["containerPort"].as_u64())
        };
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let asked = &container[probe];
            match (asked.get("grpc"), asked.get("httpGet")) {
                (Some(grpc), _) => {
                    if grpc["port"].as_u64() != port("grpc") {
                        self.find(findings, format!("{probe} asks another port than gRPC's"));
                    }
                    let service = yaml::text(&grpc["service"]);
                    if !service.is_empty() && !code.services.contains(&service) {
                        self.find(findings, format!("{probe}: the contracts have no service `{service}`"));
                    }
                }
                (None, Some(http)) => {
                    let path = yaml::text(&http["path"]);
                    if !code.says(&path) {
                        self.find(findings, format!("{probe}: the code has no route `{path}`"));
                    }
                }
                (None, None) => self.find(findings, format!("it has no {probe}")),
            }
        }
    }

    /// A pod is not killed before its jobs and calls had the time that the settings give them.
    fn grace(&self, pod: &Value, container: &Value, file: &Value, program: &Program, findings: &mut Vec<Finding>) {
        let shared = |name: &str| {
            let found = self.shared.iter().find(|(variable, _)| variable == name);
            found.filter(|_| program.knows("peers").is_ok()).and_then(|(_, value)| value.parse().ok())
        };
        let jobs = file["drain_seconds"].as_u64().or_else(|| shared("GRISTMILL_DRAIN_SECONDS")).unwrap_or(0);
        let calls = file["server"]["drain_seconds"].as_u64();
        let calls = calls.or_else(|| shared("GRISTMILL_SERVER__DRAIN_SECONDS")).unwrap_or(0);
        let before = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap_or(0);
        let needed = before + jobs.max(calls) + SPARE;
        let given = pod["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        if given < needed {
            self.find(findings, format!("terminationGracePeriodSeconds is {given}, and a drain may take {needed}"));
        }
    }

    /// Files that settings name are projected from secrets, and nothing else is.
    fn secrets(&self, pod: &Value, file: &Value, program: &Program, findings: &mut Vec<Finding>) {
        let mut leaves = Vec::new();
        yaml::leaves("", file, &mut leaves);
        let from_file = leaves.iter().map(|(_, value)| yaml::text(value));
        // The all-in-one has its own settings only.
        let shared = self.shared.iter().filter(|_| program.knows("peers").is_ok()).map(|(_, value)| value.clone());
        let named: Vec<String> = from_file
            .chain(shared)
            .filter_map(|value| value.strip_prefix("file:").unwrap_or(&value).strip_prefix(SECRETS).map(str::to_owned))
            .collect();
        let volume = yaml::items(&pod["volumes"]).find(|volume| volume["name"] == "secrets");
        let sources = volume.map(|volume| &volume["projected"]["sources"]).unwrap_or(&Value::Null);
        let projected: Vec<String> = yaml::items(sources)
            .flat_map(|source| yaml::items(&source["secret"]["items"]))
            .map(|item| yaml::text(&item["path"]))
            .collect();
        for missing in named.iter().filter(|path| !projected.contains(path)) {
            self.find(findings, format!("no secret is mounted at {SECRETS}{missing}, which the settings name"));
        }
        for idle in projected.iter().filter(|path| !named.contains(path)) {
            self.find(findings, format!("a secret is mounted at {SECRETS}{idle}, which no setting names"));
        }
    }
}
