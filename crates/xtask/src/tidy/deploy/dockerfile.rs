//! The Dockerfile: a target per program with its own ports, the toolchain of the workspace.

use std::path::Path;

use anyhow::Context;

use super::Code;
use crate::tidy::Finding;

const PLACE: &str = "deploy/docker/Dockerfile";

pub(super) fn check(root: &Path, code: &Code) -> anyhow::Result<Vec<Finding>> {
    let text = std::fs::read_to_string(root.join(PLACE)).context(PLACE)?;
    let mut findings = Vec::new();
    let mut wrong = |message: String| findings.push(Finding::new(PLACE, message));
    if !text.contains(&format!("FROM rust:{}-", code.toolchain)) {
        wrong(format!("it builds with another Rust than {}, which rust-toolchain.toml names", code.toolchain));
    }
    let profile = text.lines().find_map(|line| line.strip_prefix("ARG PROFILE=")).unwrap_or_default();
    if profile != "release" && !code.manifest.contains(&format!("[profile.{profile}]")) {
        wrong(format!("Cargo.toml has no profile `{profile}`"));
    }
    let stages: Vec<&str> = text.split("\nFROM ").collect();
    for program in code.programs.binaries() {
        let binary = &program.binary;
        if !text.contains(&format!("--package {binary} ")) {
            wrong(format!("`{binary}` is not built"));
        }
        let target = program.role();
        let Some(lines) = stages.iter().find(|lines| lines.starts_with(&format!("base AS {target}\n"))) else {
            wrong(format!("there is no target `{target}`"));
            continue;
        };
        let Some((grpc, http)) = program.ports else { continue };
        let verb =
            if program.peers().next().is_none() && program.verbs().any(|verb| verb == "up") { "up" } else { "serve" };
        for line in [
            format!("COPY --from=build /out/{binary} /usr/local/bin/"),
            format!("EXPOSE {grpc} {http}"),
            format!("ENTRYPOINT [\"{binary}\"]"),
            format!("CMD [\"{verb}\"]"),
        ] {
            if !lines.lines().any(|found| found == line) {
                wrong(format!("target `{target}` lacks the line `{line}`"));
            }
        }
        if !lines.contains(&format!("CMD [\"ready\", \"{http}\"")) {
            wrong(format!("target `{target}`: its health check asks another port than {http}"));
        }
    }
    Ok(findings)
}
