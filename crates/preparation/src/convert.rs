//! From the contract's spec to checked settings.

use std::collections::BTreeMap;

use gristmill_learn::{Override, Task};
use gristmill_proto::preparation as message;
use gristmill_types::ArtifactRef;

use crate::split::{self, Day, Method};
use crate::{PreparationError, Settings};

/// A checked spec.
#[derive(Debug)]
pub(crate) struct Checked {
    pub dataset: ArtifactRef,
    pub settings: Settings,
}

/// Checks everything that needs no data.
pub(crate) fn check(spec: &message::PreparationSpec) -> Result<Checked, PreparationError> {
    let dataset = gristmill_proto::artifact_ref("dataset", spec.dataset.as_ref())
        .map_err(|error| PreparationError::spec(error.field, error.message))?;
    if spec.target.is_empty() {
        return Err(PreparationError::spec("target", "name the column that is predicted"));
    }
    let task = match spec.task.as_str() {
        "" | "auto" => None,
        "binary" => Some(Task::Binary),
        "multiclass" => Some(Task::Multiclass),
        "regression" => Some(Task::Regression),
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(PreparationError::spec(
                "task",
                format!("`{other}` is not a task: write auto, binary, multiclass or regression"),
            ));
        }
    };
    let settings = Settings {
        target: spec.target.clone(),
        task,
        positive: (!spec.positive.is_empty()).then(|| spec.positive.clone()),
        split: split(spec.split.as_ref())?,
        id_columns: spec.id_columns.clone(),
        features: spec.features.clone(),
        exclude: spec.exclude.clone(),
        overrides: overrides(&spec.rules)?,
        zone: zone(&spec.zone)?,
        seed: spec.seed,
    };
    Ok(Checked { dataset, settings })
}

fn zone(text: &str) -> Result<Option<String>, PreparationError> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<chrono_tz::Tz>() {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(_) => Err(PreparationError::spec("zone", "not an IANA time zone: write one such as America/New_York")),
    }
}

fn overrides(rules: &[message::ColumnRule]) -> Result<BTreeMap<String, Override>, PreparationError> {
    let mut overrides = BTreeMap::new();
    for (at, rule) in rules.iter().enumerate() {
        let treatment = match rule.treatment.as_str() {
            "number" => Override::Number,
            "category" => Override::Category,
            "target_encoding" => Override::TargetEncoding,
            "date_parts" => Override::DateParts,
            "drop" => Override::Drop,
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(PreparationError::spec(
                    format!("rules[{at}].treatment"),
                    format!(
                        "`{other}` is not a treatment: write number, category, target_encoding, date_parts or drop"
                    ),
                ));
            }
        };
        if overrides.insert(rule.column.clone(), treatment).is_some() {
            let message = format!("column `{}` has two rules: keep one", rule.column);
            return Err(PreparationError::spec(format!("rules[{at}].column"), message));
        }
    }
    Ok(overrides)
}

fn split(spec: Option<&message::Split>) -> Result<split::Request, PreparationError> {
    let Some(spec) = spec else { return Ok(split::Request::default()) };
    let method = match spec.method() {
        message::split::Method::Unspecified | message::split::Method::Auto => None,
        message::split::Method::Time => Some(Method::Time),
        message::split::Method::Group => Some(Method::Group),
        message::split::Method::Stratified => Some(Method::Stratified),
        message::split::Method::Random => Some(Method::Random),
        message::split::Method::Hash => Some(Method::Hash),
    };
    let shares = [spec.train, spec.validation, spec.test];
    let day = |field: &str, text: &str| -> Result<Day, PreparationError> {
        text.parse().map_err(|error: split::SplitError| PreparationError::spec(field, error.to_string()))
    };
    let until = match (spec.train_until.as_str(), spec.validation_until.as_str()) {
        ("", "") => None,
        ("", _) | (_, "") => {
            return Err(PreparationError::spec("split", "give both train_until and validation_until, or neither"));
        }
        (train, validation) => Some((day("split.train_until", train)?, day("split.validation_until", validation)?)),
    };
    if spec.gap_seconds < 0 {
        return Err(PreparationError::spec("split.gap_seconds", "a gap is not negative"));
    }
    Ok(split::Request {
        method,
        column: (!spec.column.is_empty()).then(|| spec.column.clone()),
        shares: shares.iter().any(|share| *share != 0.0).then_some(shares),
        until,
        gap_seconds: spec.gap_seconds,
    })
}
