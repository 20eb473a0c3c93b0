//! `models`: list, show, alias, export.

use std::path::Path;

use gristmill_proto::registry::{ListModelVersionsRequest, ListModelsRequest, ModelVersion, SetModelAliasRequest};
use gristmill_runtime::Process;
use serde_json::{Value, json};

use super::compare;
use crate::cli::{Format, Global, Models};
use crate::failure::{Exit, Failure};
use crate::names::ModelName;
use crate::output::{self, number, table};
use crate::session::Session;
use crate::transfer;

/// Most entries of one list on a terminal.
const PAGE: u32 = 1000;

/// Runs one of the commands.
///
/// # Errors
/// As the exit codes say.
pub async fn run(global: &Global, models: Models, process: Process) -> Result<Exit, Failure> {
    let session = Session::open(global, process, None).await?;
    let done = match models {
        Models::List { output } => list(&session, output).await,
        Models::Show { model, output } => show(&session, &model, output).await,
        Models::Compare(pair) => compare::compare(&session, &pair).await,
        Models::Export { model, output } => export(&session, &model, &output).await,
        Models::Alias { name, alias, version, reason, override_verdict, expect } => {
            let request = SetModelAliasRequest {
                project: session.project.clone(),
                name,
                alias,
                version,
                expected_version: expect,
                reason,
                override_verdict,
            };
            alias_to(&session, request).await
        }
    };
    session.close().await;
    done
}

async fn list(session: &Session, format: Format) -> Result<Exit, Failure> {
    let request = ListModelsRequest { project: session.project.clone(), page_size: PAGE, page_token: String::new() };
    let models = session.registry().list_models(request).await?.into_inner().models;
    match format {
        Format::Json => {
            let each = models.iter();
            let each = each.map(|m| json!({"name": m.name, "latest_version": m.latest_version, "aliases": m.aliases}));
            output::json(&json!({"models": each.collect::<Vec<Value>>()}))?;
        }
        Format::Text => {
            let aliases = |m: &gristmill_proto::registry::Model| {
                m.aliases.iter().map(|(alias, version)| format!("{alias}: {version}")).collect::<Vec<_>>().join(", ")
            };
            let rows: Vec<Vec<String>> =
                models.iter().map(|m| vec![m.name.clone(), m.latest_version.to_string(), aliases(m)]).collect();
            output::text(&table(&["model", "versions", "aliases"], &rows))?;
        }
    }
    Ok(Exit::Done)
}

async fn show(session: &Session, model: &str, format: Format) -> Result<Exit, Failure> {
    let name = ModelName::parse(model)?;
    let versions = if name.which.is_some() {
        vec![name.resolve(session).await?]
    } else {
        let request = ListModelVersionsRequest {
            project: session.project.clone(),
            name: name.name,
            page_size: PAGE,
            page_token: String::new(),
        };
        session.registry().list_model_versions(request).await?.into_inner().versions
    };
    match format {
        Format::Json => output::json(&json!({"versions": versions.iter().map(version_json).collect::<Vec<_>>()}))?,
        Format::Text => output::text(&versions.iter().map(version_text).collect::<Vec<_>>().join("\n"))?,
    }
    Ok(Exit::Done)
}

fn version_json(version: &ModelVersion) -> Value {
    let artifact = |a: &Option<gristmill_proto::artifact::ArtifactRef>| {
        a.as_ref().map(|a| json!({"kind": a.kind, "digest": a.digest}))
    };
    json!({
        "name": version.name,
        "version": version.version,
        "aliases": version.aliases,
        "verdict": version.verdict,
        "metrics": version.metrics,
        "model": artifact(&version.model),
        "evaluation": artifact(&version.evaluation),
        "description": version.description,
        "tags": version.tags,
        "created_by": version.created_by,
        "run_id": version.run_id,
    })
}

fn version_text(version: &ModelVersion) -> String {
    let mut text = format!("{} version {}", version.name, version.version);
    if !version.aliases.is_empty() {
        text.push_str(&format!(" ({})", version.aliases.join(", ")));
    }
    text.push('\n');
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("  {name:22} {value}\n"));
        }
    };
    line("verdict", &version.verdict);
    line("description", &version.description);
    line("run", &version.run_id);
    line("by", &version.created_by);
    for (name, artifact) in [("model", &version.model), ("evaluation", &version.evaluation)] {
        if let Some(artifact) = artifact {
            line(name, &format!("{}:{}", artifact.kind, artifact.digest));
        }
    }
    for (metric, value) in &version.metrics {
        line(metric, &number(*value));
    }
    text
}

async fn alias_to(session: &Session, request: SetModelAliasRequest) -> Result<Exit, Failure> {
    let moved = session.registry().set_model_alias(request).await?.into_inner().r#move.unwrap_or_default();
    let to = if moved.to_version == 0 { "nothing".to_owned() } else { format!("version {}", moved.to_version) };
    let from = if moved.from_version == 0 { "nothing".to_owned() } else { format!("version {}", moved.from_version) };
    output::text(&format!("{}@{} now stands on {to} (before: {from})\n", moved.name, moved.alias))?;
    Ok(Exit::Done)
}

async fn export(session: &Session, model: &str, path: &Path) -> Result<Exit, Failure> {
    let version = ModelName::parse(model)?.resolve(session).await?;
    let artifact = version.model.ok_or_else(|| Failure::failed("the version names no model artifact"))?;
    let size = transfer::download(&mut session.artifacts(), &session.project, &artifact, "model.gmm", path).await?;
    output::text(&format!("{} version {}: {size} bytes in {}\n", version.name, version.version, path.display()))?;
    Ok(Exit::Done)
}
