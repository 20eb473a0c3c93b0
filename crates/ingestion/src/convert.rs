//! From the contract's spec to a checked plan, and from what was found to the contract's result.

use std::collections::BTreeMap;

use gristmill_frame::{
    AsOf, Availability, CsvOptions, Derived, FileFormat, Integration, Join, JoinKey, JoinReport, Report, SourceSpec,
    Step,
};
use gristmill_proto::ingestion::{self as message, integration_step, source};
use gristmill_proto::table;
use gristmill_stats::schema::{Anomaly, Schema, Severity};
use gristmill_types::{ArtifactKind, ArtifactRef, ColumnType};

use crate::settings::file_path;
use crate::{IngestionError, Settings};

/// A spec that may run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub sources: BTreeMap<String, (Location, SourceSpec)>,
    pub integration: Integration,
    pub expected: Option<Schema>,
    /// Least severity that ends the job; none lets everything pass.
    pub refuse: Option<Severity>,
}

/// Where a source lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    Artifact(ArtifactRef),
    Uri(String),
}

/// Checks everything that needs no data.
pub(crate) fn check(spec: &message::IngestionSpec, settings: &Settings) -> Result<Plan, IngestionError> {
    let mut sources = BTreeMap::new();
    for (index, source) in spec.sources.iter().enumerate() {
        let field = format!("sources[{index}]");
        let read = (location(&field, source)?, source_spec(&field, source)?);
        if sources.insert(source.name.clone(), read).is_some() {
            return Err(IngestionError::spec(
                format!("{field}.name"),
                format!("`{}` names two sources: give each a name of its own", source.name),
            ));
        }
    }
    let integration = integration(spec.integration.as_ref(), &sources)?;
    let specs = sources.iter().map(|(name, (_, spec))| (name.clone(), spec.clone())).collect();
    integration.check(&specs, &settings.bounds)?;
    Ok(Plan {
        sources,
        integration,
        expected: expected(&spec.expected_schema)?,
        refuse: refuse(&spec.refuse_anomalies)?,
    })
}

fn location(field: &str, source: &message::Source) -> Result<Location, IngestionError> {
    match &source.location {
        Some(source::Location::Artifact(artifact)) => {
            let field = format!("{field}.artifact");
            let artifact = gristmill_proto::artifact_ref(&field, Some(artifact))?;
            if artifact.kind != ArtifactKind::Source {
                return Err(IngestionError::spec(
                    field,
                    format!("is a {}: upload the file, which gives a `source` artifact", artifact.kind),
                ));
            }
            Ok(Location::Artifact(artifact))
        }
        Some(source::Location::Uri(uri)) => {
            file_path(&format!("{field}.uri"), uri)?;
            Ok(Location::Uri(uri.clone()))
        }
        None => Err(IngestionError::spec(field, "says neither `artifact` nor `uri`: upload the file, or name it")),
    }
}

fn source_spec(field: &str, source: &message::Source) -> Result<SourceSpec, IngestionError> {
    let format = match table::FileFormat::try_from(source.format) {
        Ok(table::FileFormat::Csv) => FileFormat::Csv,
        Ok(table::FileFormat::Parquet) => FileFormat::Parquet,
        Ok(table::FileFormat::Auto | table::FileFormat::Unspecified) => by_name(&source.display_name),
        Err(_) => return Err(IngestionError::spec(format!("{field}.format"), "is unknown: write csv or parquet")),
    };
    let mut columns = BTreeMap::new();
    for column in &source.columns {
        let declared = column.r#type.parse().map_err(|problem: String| {
            IngestionError::spec(format!("sources.{}.columns.{}", source.name, column.name), problem)
        })?;
        columns.insert(column.name.clone(), declared);
    }
    let available = source.available.as_ref().map(|available| match available.column.as_str() {
        "" => Availability::Static,
        column => Availability::At { column: column.to_owned(), delay_seconds: available.delay_seconds },
    });
    Ok(SourceSpec { format, csv: csv(field, source.csv.as_ref())?, columns, available })
}

fn by_name(name: &str) -> FileFormat {
    let name = name.to_lowercase();
    if name.ends_with(".parquet") || name.ends_with(".pq") { FileFormat::Parquet } else { FileFormat::Auto }
}

fn csv(field: &str, options: Option<&table::CsvOptions>) -> Result<CsvOptions, IngestionError> {
    let mut csv = CsvOptions::default();
    let Some(options) = options else { return Ok(csv) };
    let character = |name: &str, text: &str, default: char| {
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (None, _) => Ok(default),
            (Some(one), None) => Ok(one),
            _ => Err(IngestionError::spec(format!("{field}.csv.{name}"), format!("`{text}` must be one character"))),
        }
    };
    csv.delimiter = character("delimiter", &options.delimiter, csv.delimiter)?;
    csv.quote = character("quote", &options.quote, csv.quote)?;
    csv.header = options.header.unwrap_or(true);
    if !options.null_values.is_empty() {
        csv.null_values.clone_from(&options.null_values);
    }
    Ok(csv)
}

fn integration(
    message: Option<&message::Integration>,
    sources: &BTreeMap<String, (Location, SourceSpec)>,
) -> Result<Integration, IngestionError> {
    let message = message.cloned().unwrap_or_default();
    let base = match (message.base.as_str(), sources.len()) {
        ("", 1) => sources.keys().next().cloned().unwrap_or_default(),
        ("", 0) => return Err(IngestionError::spec("sources", "is empty: name at least one source")),
        ("", _) => {
            return Err(IngestionError::spec(
                "integration.base",
                "is empty: say which source's rows are the rows of the dataset",
            ));
        }
        (base, _) => base.to_owned(),
    };
    let given = |text: &String| (!text.trim().is_empty()).then(|| text.clone());
    let steps = message.steps.iter().enumerate().map(|(index, step)| self::step(index, step));
    Ok(Integration {
        base,
        steps: steps.collect::<Result<_, _>>()?,
        known_at: given(&message.known_at),
        known_after: message.known_after,
        filter: given(&message.filter),
        columns: message.columns,
        key: message.key,
        unit: given(&message.unit),
    })
}

fn step(index: usize, step: &message::IntegrationStep) -> Result<Step, IngestionError> {
    let keys = |on: &[message::JoinKey]| {
        on.iter().map(|key| JoinKey { left: key.left.clone(), right: key.right.clone() }).collect()
    };
    // A share of zero is what the contract says where nothing was said.
    let least = |share: f64| (share != 0.0).then_some(share);
    Ok(match &step.step {
        Some(integration_step::Step::Sql(sql)) => Step::Sql(sql.clone()),
        Some(integration_step::Step::Join(join)) => Step::Join(Join {
            source: join.source.clone(),
            on: keys(&join.on),
            columns: join.columns.clone(),
            prefix: join.prefix.clone(),
            allow_multiple: join.allow_multiple,
            min_matched: least(join.min_matched),
        }),
        Some(integration_step::Step::AsOf(join)) => Step::AsOf(AsOf {
            source: join.source.clone(),
            on: keys(&join.on),
            tolerance_seconds: (join.tolerance_seconds != 0).then_some(join.tolerance_seconds),
            columns: join.columns.clone(),
            prefix: join.prefix.clone(),
            min_matched: least(join.min_matched),
        }),
        Some(integration_step::Step::Derive(derive)) => Step::Derive(
            derive
                .columns
                .iter()
                .map(|column| Derived { name: column.name.clone(), expression: column.expression.clone() })
                .collect(),
        ),
        None => {
            return Err(IngestionError::spec(
                format!("integration.steps[{index}]"),
                "is empty: write sql, join, as_of or derive",
            ));
        }
    })
}

fn expected(text: &str) -> Result<Option<Schema>, IngestionError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    serde_json::from_str(text)
        .map(Some)
        .map_err(|error| IngestionError::spec("expected_schema", format!("is not the JSON of a schema: {error}")))
}

fn refuse(text: &str) -> Result<Option<Severity>, IngestionError> {
    match text {
        "" | "error" => Ok(Some(Severity::Error)),
        "warning" => Ok(Some(Severity::Warning)),
        "never" => Ok(None),
        other => Err(IngestionError::spec(
            "refuse_anomalies",
            format!("`{}` is unknown: write error, warning or never", other.chars().take(40).collect::<String>()),
        )),
    }
}

/// The contract's result.
pub(crate) fn result(
    [dataset, profile, schema]: [ArtifactRef; 3],
    report: &Report,
    anomalies: &[Anomaly],
) -> message::IngestionResult {
    let field =
        |name: &str, column_type: &ColumnType| table::Field { name: name.to_owned(), r#type: column_type.to_string() };
    message::IngestionResult {
        dataset: Some(dataset.into()),
        profile: Some(profile.into()),
        schema: Some(schema.into()),
        rows: report.rows,
        fields: report
            .columns
            .iter()
            .filter(|column| !column.name.starts_with('_'))
            .map(|column| field(&column.name, &column.column_type))
            .collect(),
        joins: report.joins.iter().map(join_report).collect(),
        filtered_rows: report.filtered_rows,
        anomalies: anomalies.iter().map(anomaly).collect(),
    }
}

fn join_report(join: &JoinReport) -> message::JoinReport {
    message::JoinReport {
        source: join.source.clone(),
        rows_in: join.rows_in,
        matched: join.matched,
        unmatched: join.unmatched,
        multiplied: join.multiplied,
        rows_out: join.rows_out,
    }
}

fn anomaly(anomaly: &Anomaly) -> message::Anomaly {
    message::Anomaly {
        severity: spelled(&anomaly.severity),
        kind: spelled(&anomaly.kind),
        column: anomaly.column.clone().unwrap_or_default(),
        message: anomaly.long.clone(),
    }
}

/// An enum's name as its JSON spells it.
fn spelled(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}
