//! From the file to the stages' specs (I3: the file's types stop here).

use std::collections::BTreeMap;

use gristmill_proto::artifact::ArtifactRef;
use gristmill_proto::evaluation::{Champion, EvaluationSpec, GateRule};
use gristmill_proto::ingestion::{
    AsOfJoin, Availability, Derive, DerivedColumn, IngestionSpec, Integration, IntegrationStep, Join, JoinKey,
    Source as SourceMessage, integration_step, source,
};
use gristmill_proto::preparation::split::Method;
use gristmill_proto::preparation::{ColumnRule, PreparationResult, PreparationSpec, Split as SplitMessage};
use gristmill_proto::table::{CsvOptions, Field, FileFormat};
use gristmill_proto::training::{Refit as RefitMessage, StudySpec};

use crate::PipelineError;
use crate::file::{
    Basis, Format, Key, Pipeline, Refit, RefuseAnomalies, Rule, Scalar, Source, SplitMethod, Step, Task, Threshold,
    Treatment,
};

/// The spec of data extraction; `uploads` names the artifact of every path that is not `file:`.
pub(crate) fn ingestion(
    pipeline: &Pipeline,
    uploads: &BTreeMap<String, ArtifactRef>,
) -> Result<IngestionSpec, PipelineError> {
    let sources = pipeline.sources.iter().map(|(name, source)| source_message(name, source, uploads));
    let dataset = &pipeline.dataset;
    Ok(IngestionSpec {
        sources: sources.collect::<Result<_, _>>()?,
        integration: Some(Integration {
            base: dataset.base.clone(),
            steps: dataset.steps.iter().map(step).collect(),
            known_at: dataset.known_at.clone(),
            known_after: dataset.known_after.clone(),
            filter: dataset.filter.clone(),
            columns: dataset.columns.clone(),
            key: dataset.key.clone(),
            unit: dataset.unit.clone(),
        }),
        expected_schema: dataset.expected_schema.clone(),
        refuse_anomalies: match dataset.refuse_anomalies {
            RefuseAnomalies::Error => "error",
            RefuseAnomalies::Warning => "warning",
            RefuseAnomalies::Never => "never",
        }
        .into(),
    })
}

fn source_message(
    name: &str,
    source: &Source,
    uploads: &BTreeMap<String, ArtifactRef>,
) -> Result<SourceMessage, PipelineError> {
    let location = match uploads.get(&source.path) {
        Some(artifact) => source::Location::Artifact(artifact.clone()),
        None if source.path.starts_with("file:") => source::Location::Uri(source.path.clone()),
        None => {
            return Err(PipelineError::NotUploaded { source_name: name.to_owned(), path: source.path.clone() });
        }
    };
    let file = source.path.rsplit('/').next().unwrap_or(&source.path);
    let tabs = source.csv.delimiter.is_empty() && [".tsv", ".tsv.gz"].iter().any(|end| file.ends_with(end));
    Ok(SourceMessage {
        name: name.to_owned(),
        format: format(source.format, file).into(),
        csv: Some(CsvOptions {
            delimiter: if tabs { "\t".into() } else { source.csv.delimiter.clone() },
            null_values: source.csv.nulls.clone(),
            header: source.csv.header,
            quote: source.csv.quote.clone(),
        }),
        columns: source.columns.iter().map(|(name, kind)| Field { name: name.clone(), r#type: kind.clone() }).collect(),
        available: source
            .available
            .as_ref()
            .map(|known| Availability { column: known.column.clone(), delay_seconds: known.delay.0.into() }),
        display_name: file.to_owned(),
        location: Some(location),
    })
}

fn format(format: Format, file: &str) -> FileFormat {
    match format {
        Format::Csv => FileFormat::Csv,
        Format::Parquet => FileFormat::Parquet,
        Format::Auto if file.ends_with(".parquet") => FileFormat::Parquet,
        Format::Auto if [".csv", ".tsv", ".txt", ".gz"].iter().any(|end| file.ends_with(end)) => FileFormat::Csv,
        Format::Auto => FileFormat::Auto,
    }
}

fn step(step: &Step) -> IntegrationStep {
    let keys = |on: &[Key]| {
        on.iter()
            .map(|key| {
                let (left, right) = key.sides();
                JoinKey { left: left.into(), right: right.into() }
            })
            .collect()
    };
    let step = match step {
        Step::Sql(text) => integration_step::Step::Sql(text.clone()),
        Step::Join(join) => integration_step::Step::Join(Join {
            source: join.source.clone(),
            on: keys(&join.on),
            columns: join.columns.clone(),
            prefix: join.prefix.clone(),
            allow_multiple: join.allow_multiple,
            min_matched: join.min_matched,
        }),
        Step::AsOf(join) => integration_step::Step::AsOf(AsOfJoin {
            source: join.source.clone(),
            on: keys(&join.on),
            tolerance_seconds: join.tolerance.0.into(),
            columns: join.columns.clone(),
            prefix: join.prefix.clone(),
            min_matched: join.min_matched,
        }),
        Step::Derive(named) => integration_step::Step::Derive(Derive {
            columns: named
                .0
                .iter()
                .map(|(name, expression)| DerivedColumn { name: name.clone(), expression: expression.clone() })
                .collect(),
        }),
    };
    IntegrationStep { step: Some(step) }
}

/// The spec of data preparation.
pub(crate) fn preparation(pipeline: &Pipeline, dataset: Option<ArtifactRef>) -> PreparationSpec {
    let own = &pipeline.preparation;
    PreparationSpec {
        dataset,
        target: own.target.clone(),
        task: match own.task {
            Task::Auto => "auto",
            Task::Binary => "binary",
            Task::Multiclass => "multiclass",
            Task::Regression => "regression",
        }
        .into(),
        positive: own.positive.clone(),
        split: Some(split(pipeline)),
        id_columns: own.ids.clone(),
        features: own.features.clone(),
        exclude: own.exclude.clone(),
        rules: own
            .columns
            .iter()
            .map(|(column, treatment)| ColumnRule {
                column: column.clone(),
                treatment: treatment_word(*treatment).into(),
            })
            .collect(),
        zone: own.zone.clone(),
        seed: pipeline.seed,
    }
}

const fn treatment_word(treatment: Treatment) -> &'static str {
    match treatment {
        Treatment::Number => "number",
        Treatment::Category => "category",
        Treatment::TargetEncoding => "target_encoding",
        Treatment::DateParts => "date_parts",
        Treatment::Drop => "drop",
    }
}

fn split(pipeline: &Pipeline) -> SplitMessage {
    let own = &pipeline.preparation.split;
    let method = match own.method {
        SplitMethod::Auto => Method::Auto,
        SplitMethod::Time => Method::Time,
        SplitMethod::Group => Method::Group,
        SplitMethod::Stratified => Method::Stratified,
        SplitMethod::Random => Method::Random,
        SplitMethod::Hash => Method::Hash,
    };
    SplitMessage {
        method: method.into(),
        column: own.column.clone(),
        train: own.train.unwrap_or_default(),
        validation: own.validation.unwrap_or_default(),
        test: own.test.unwrap_or_default(),
        train_until: own.train_until.clone(),
        validation_until: own.validation_until.clone(),
        gap_seconds: own.gap.0.into(),
    }
}

/// The spec of the study.
pub(crate) fn study(pipeline: &Pipeline, prepared: &PreparationResult) -> StudySpec {
    let own = &pipeline.training;
    let (threshold, false_positive_cost, false_negative_cost) = match own.threshold {
        Threshold::F1 => ("f1", 0.0, 0.0),
        Threshold::Cost { false_positive, false_negative } => ("cost", false_positive, false_negative),
    };
    StudySpec {
        transform: prepared.transform.clone(),
        train: prepared.train.clone(),
        validation: prepared.validation.clone(),
        learners: own.learners.clone(),
        trials: own.trials,
        time_budget_seconds: own.time_budget.0,
        max_rounds: own.max_rounds,
        early_stopping_rounds: own.early_stopping_rounds,
        seed: pipeline.seed,
        lag: own.lag,
        refit: match own.refit {
            Refit::Auto => RefitMessage::Auto,
            Refit::On => RefitMessage::On,
            Refit::Off => RefitMessage::Off,
        }
        .into(),
        threshold: threshold.into(),
        false_positive_cost,
        false_negative_cost,
        fixed: own.fixed.iter().map(|(name, value)| (name.clone(), scalar(value))).collect(),
    }
}

fn scalar(value: &Scalar) -> String {
    match value {
        Scalar::Bool(value) => value.to_string(),
        Scalar::Int(value) => value.to_string(),
        Scalar::Float(value) => value.to_string(),
        Scalar::Text(value) => value.clone(),
    }
}

/// The spec of the evaluation; `champion` is the version to compare with, if there is another one.
pub(crate) fn evaluation(
    pipeline: &Pipeline,
    model: Option<ArtifactRef>,
    prepared: &PreparationResult,
    champion: Option<Champion>,
) -> EvaluationSpec {
    let own = &pipeline.evaluation;
    EvaluationSpec {
        model,
        test: prepared.test.clone(),
        seen: seen(prepared),
        champion,
        gate: own.gate.iter().map(rule).collect(),
        model_name: pipeline.registry.model.clone(),
        replicates: own.replicates,
        confidence: own.confidence,
        seed: pipeline.seed,
    }
}

/// The splits that a model of this preparation has seen.
pub(crate) fn seen(prepared: &PreparationResult) -> Vec<ArtifactRef> {
    [&prepared.train, &prepared.validation].into_iter().flatten().cloned().collect()
}

fn rule(rule: &Rule) -> GateRule {
    GateRule {
        metric: rule.metric.clone(),
        min: rule.min,
        max: rule.max,
        champion_margin: rule.champion_margin,
        champion_gain: rule.champion_gain,
        suspicious_gain: rule.suspicious_gain,
        interval: rule.basis == Basis::Interval,
        better_than_constant: rule.better_than_constant,
    }
}
