//! `data`: profile, validate, ingest, show.

use std::path::Path;

use gristmill_proto::artifact::GetArtifactRequest;
use gristmill_proto::ingestion::{
    CreateIngestionJobRequest, GetIngestionJobRequest, IngestionResult, IngestionSpec, Integration, Source, source,
};
use gristmill_proto::table::{CsvOptions, FileFormat};
use gristmill_runtime::Process;
use serde_json::{Value, json};

use super::jobs;
use crate::cli::{Csv, Data, Format, Global};
use crate::failure::{Exit, Failure};
use crate::output::{self, number, table};
use crate::progress::Bars;
use crate::session::Session;
use crate::{names, transfer};

/// Name of the only source of a file's dataset.
const SOURCE: &str = "data";

/// Runs one of the commands.
///
/// # Errors
/// As the exit codes say.
pub async fn run(global: &Global, data: Data, process: Process) -> Result<Exit, Failure> {
    if let Data::Profile { file, .. } | Data::Validate { file, .. } | Data::Ingest { file, .. } = &data {
        readable(file)?;
    }
    let session = Session::open(global, process, None).await?;
    let done = match data {
        Data::Profile { file, csv, output } => profile(&session, global, &file, &csv, output).await,
        Data::Validate { file, schema, csv, output } => validate(&session, global, &file, &schema, &csv, output).await,
        Data::Ingest { file, schema, csv, output } => {
            ingest(&session, global, &file, schema.as_deref(), &csv, output).await
        }
        Data::Show { artifact, part, output } => show(&session, &artifact, part.as_deref(), output).await,
    };
    session.close().await;
    done
}

/// Says at once when a file cannot be read, before anything is started.
///
/// # Errors
/// A usage failure that names the file.
pub fn readable(path: &Path) -> Result<(), Failure> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(Failure::usage(format!("{} is not a file", path.display()))),
        Err(error) => Err(Failure::usage(format!("{}: {error}", path.display()))),
    }
}

async fn profile(session: &Session, global: &Global, file: &Path, csv: &Csv, format: Format) -> Result<Exit, Failure> {
    let result = dataset(session, global, file, csv, Expected::default()).await?;
    let artifact = result.profile.ok_or_else(|| Failure::failed("the dataset came without a profile"))?;
    let bytes = transfer::read(&mut session.artifacts(), &session.project, &artifact, "profile.json").await?;
    let profile: Value = serde_json::from_slice(&bytes).map_err(Failure::failed)?;
    match format {
        Format::Json => output::json(&profile)?,
        Format::Text => output::text(&profile_text(&profile))?,
    }
    Ok(Exit::Done)
}

fn profile_text(profile: &Value) -> String {
    let columns = profile["columns"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |column: &Value| {
        let warnings = column["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let warnings: Vec<String> = warnings.iter().map(|w| cell(w).replace('_', " ")).collect();
        let keys = ["name", "type", "count", "missing", "distinct", "min", "mean", "max", "std"];
        let mut row: Vec<String> = keys.iter().map(|key| cell(&column[*key])).collect();
        row.push(warnings.join(", "));
        row
    };
    let headings = ["column", "type", "count", "missing", "distinct", "min", "mean", "max", "std", "look at"];
    let rows: Vec<Vec<String>> = columns.iter().map(row).collect();
    format!("{} rows, {} columns\n\n{}", cell(&profile["rows"]), columns.len(), table(&headings, &rows))
}

/// A JSON value as a cell of a table.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.chars().take(32).collect(),
        Value::Number(value) => value.as_f64().map(number).unwrap_or_default(),
        other => other.to_string(),
    }
}

async fn validate(
    session: &Session,
    global: &Global,
    file: &Path,
    schema: &str,
    csv: &Csv,
    format: Format,
) -> Result<Exit, Failure> {
    // What does not fit is shown here, all of it, not only the first.
    let expected = Expected { schema: expected_schema(session, schema).await?, refuse: "never" };
    let result = dataset(session, global, file, csv, expected).await?;
    let errors = result.anomalies.iter().any(|anomaly| anomaly.severity == "error");
    match format {
        Format::Json => {
            let anomaly = |a: &gristmill_proto::ingestion::Anomaly| json!({"severity": a.severity, "kind": a.kind, "column": a.column, "message": a.message});
            let anomalies: Vec<Value> = result.anomalies.iter().map(anomaly).collect();
            output::json(&json!({"rows": result.rows, "valid": !errors, "anomalies": anomalies}))?;
        }
        Format::Text => {
            let row = |a: &gristmill_proto::ingestion::Anomaly| {
                vec![a.severity.clone(), a.column.clone(), a.kind.clone(), a.message.clone()]
            };
            let rows: Vec<Vec<String>> = result.anomalies.iter().map(row).collect();
            let verdict = if errors { "does not fit" } else { "fits" };
            let mut text = format!("{} {verdict} the schema: {} rows\n", file.display(), result.rows);
            if !rows.is_empty() {
                text.push_str(&format!("\n{}", table(&["severity", "column", "kind", "what"], &rows)));
            }
            output::text(&text)?;
        }
    }
    Ok(if errors { Exit::Refused } else { Exit::Done })
}

async fn ingest(
    session: &Session,
    global: &Global,
    file: &Path,
    schema: Option<&str>,
    csv: &Csv,
    format: Format,
) -> Result<Exit, Failure> {
    let expected = match schema {
        Some(schema) => Expected { schema: expected_schema(session, schema).await?, refuse: "error" },
        None => Expected::default(),
    };
    let result = dataset(session, global, file, csv, expected).await?;
    let artifacts = [&result.dataset, &result.schema, &result.profile];
    let artifacts: Vec<_> = artifacts.into_iter().flatten().collect();
    match format {
        Format::Json => {
            let columns: Vec<Value> =
                result.fields.iter().map(|field| json!({"name": field.name, "type": field.r#type})).collect();
            let artifacts: Vec<Value> = artifacts.iter().map(|a| json!({"kind": a.kind, "digest": a.digest})).collect();
            output::json(&json!({"rows": result.rows, "columns": columns, "artifacts": artifacts}))?;
        }
        Format::Text => {
            let mut text = format!("{} rows, {} columns\n", result.rows, result.fields.len());
            for artifact in artifacts {
                text.push_str(&format!("{}:{}\n", artifact.kind, artifact.digest));
            }
            output::text(&text)?;
        }
    }
    Ok(Exit::Done)
}

/// What a file must look like.
#[derive(Debug, Default)]
struct Expected {
    /// JSON of a schema; empty for none.
    schema: String,
    /// From which severity on the file is refused.
    refuse: &'static str,
}

/// The text of a schema: of a file, or of an artifact.
async fn expected_schema(session: &Session, schema: &str) -> Result<String, Failure> {
    let bytes = if schema.contains(':') && !Path::new(schema).exists() {
        let artifact = names::artifact(schema)?;
        transfer::read(&mut session.artifacts(), &session.project, &artifact, "schema.json").await?
    } else {
        std::fs::read(schema).map_err(|error| Failure::usage(format!("{schema}: {error}")))?
    };
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{schema} is not text")))
}

/// Uploads a file and makes a dataset of it.
///
/// # Errors
/// The file cannot be read as a table.
async fn dataset(
    session: &Session,
    global: &Global,
    file: &Path,
    csv: &Csv,
    expected: Expected,
) -> Result<IngestionResult, Failure> {
    let bars = Bars::new(global.quiet);
    let display_name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let upload = bars.upload(&display_name);
    let artifact = transfer::upload(&mut session.artifacts(), &session.project, file, &upload).await?;
    let source = Source {
        name: SOURCE.into(),
        location: Some(source::Location::Artifact(artifact)),
        format: file_format(file).into(),
        csv: Some(csv_options(csv)),
        display_name,
        ..Source::default()
    };
    let spec = IngestionSpec {
        sources: vec![source],
        integration: Some(Integration { base: SOURCE.into(), ..Integration::default() }),
        refuse_anomalies: expected.refuse.into(),
        expected_schema: expected.schema,
    };
    integrate(session, spec, &format!("reading {}", file.display()), &bars).await
}

/// Hands an integration in and waits for what comes of it; `what` names it for people.
///
/// # Errors
/// As [`jobs::wait`].
pub async fn integrate(
    session: &Session,
    spec: IngestionSpec,
    what: &str,
    bars: &Bars,
) -> Result<IngestionResult, Failure> {
    let request = CreateIngestionJobRequest {
        project: session.project.clone(),
        spec: Some(spec),
        ..CreateIngestionJobRequest::default()
    };
    let mut client = session.ingestion();
    let created = client.create_ingestion_job(request).await?.into_inner();
    let id = created.job.and_then(|job| job.job).map(|job| job.id).unwrap_or_default();
    let request = GetIngestionJobRequest { project: session.project.clone(), id };
    let look = async || client.get_ingestion_job(request.clone()).await.map(tonic::Response::into_inner);
    let bar = bars.work("ingestion");
    let done = jobs::wait(session, what, &bar, look, |answer| answer.job.as_ref()?.job.as_ref()).await?;
    done.job.and_then(|job| job.result).ok_or_else(|| Failure::failed("the job came without a result"))
}

/// Parquet by the file's name; what else there is reads as delimited text, or says that it is none.
pub fn file_format(path: &Path) -> FileFormat {
    let name = path.to_string_lossy().to_lowercase();
    if name.ends_with(".parquet") || name.ends_with(".pq") { FileFormat::Parquet } else { FileFormat::Csv }
}

/// What the flags say about delimited text. `NA` is null unless other texts are named: it is in nearly
/// every file that has a text for it.
pub fn csv_options(csv: &Csv) -> CsvOptions {
    CsvOptions {
        delimiter: csv.delimiter.map(String::from).unwrap_or_default(),
        null_values: if csv.nulls.is_empty() { vec!["NA".into()] } else { csv.nulls.clone() },
        ..CsvOptions::default()
    }
}

async fn show(session: &Session, artifact: &str, part: Option<&str>, format: Format) -> Result<Exit, Failure> {
    let artifact = names::artifact(artifact)?;
    let mut client = session.artifacts();
    if let Some(part) = part {
        let bytes = transfer::read(&mut client, &session.project, &artifact, part).await?;
        return output::bytes(&bytes).map(|()| Exit::Done);
    }
    let request = GetArtifactRequest { project: session.project.clone(), artifact: Some(artifact) };
    let found = client.get_artifact(request).await?.into_inner().artifact.unwrap_or_default();
    match format {
        Format::Json => {
            let part = |p: &gristmill_proto::artifact::ArtifactPart| json!({"name": p.name, "digest": p.digest, "size": p.size});
            let input = |a: &gristmill_proto::artifact::ArtifactRef| json!({"kind": a.kind, "digest": a.digest});
            output::json(&json!({
                "stage": found.stage,
                "logic_version": found.logic_version,
                "spec_digest": found.spec_digest,
                "parts": found.parts.iter().map(part).collect::<Vec<_>>(),
                "inputs": found.inputs.iter().map(input).collect::<Vec<_>>(),
            }))?;
        }
        Format::Text => {
            let rows: Vec<Vec<String>> =
                found.parts.iter().map(|p| vec![p.name.clone(), p.size.to_string(), p.digest.clone()]).collect();
            let mut text = format!("made by {} (logic {})\n\n", found.stage, found.logic_version);
            text.push_str(&table(&["part", "bytes", "sha-256"], &rows));
            if !found.inputs.is_empty() {
                text.push_str("\nmade from\n");
            }
            for input in found.inputs {
                text.push_str(&format!("{}:{}\n", input.kind, input.digest));
            }
            output::text(&text)?;
        }
    }
    Ok(Exit::Done)
}
