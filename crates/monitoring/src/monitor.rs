//! The judgement: drift of inputs and scores, quality of rows, and the state they come to.

use std::collections::BTreeMap;

use gristmill_model::{Model, ModelError};
use gristmill_stats::drift::{DriftOptions, DriftReport, DriftVerdict, drift};
use gristmill_stats::profile::{ProfileOptions, profile};
use gristmill_stats::schema::{InferOptions, Schema, Severity, Validation, infer, validate};
use gristmill_types::{Columns, Digest};
use serde::{Deserialize, Serialize};

use crate::MonitoringError;
use crate::scores::{self, Scores};

/// The column that names a row's unit of dependence.
pub(crate) const UNIT: &str = "_unit";
/// A column that was complete may miss this share before rows are said not to fit.
const MISSING_ALLOWED: f64 = 0.01;

/// What is asked for, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Least rows for a verdict; 0 for the default.
    pub min_rows: usize,
    /// Columns that are not compared.
    pub exclude: Vec<String>,
    /// Seed of the windows.
    pub seed: u64,
}

/// What the live rows come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing moved.
    Ok,
    /// Something moved that informs.
    Warning,
    /// Something moved that asks for action.
    Alert,
    /// Too little to say.
    NotEnoughData,
}

/// The model that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// SHA-256 of the model file.
    pub digest: Digest,
    /// What it predicts.
    pub target: String,
    /// How it was learned.
    pub learner: String,
}

/// Values of one input that training had not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputCounts {
    /// Input.
    pub name: String,
    /// Nulls, where training had none.
    pub unexpected_null: u64,
    /// Numbers outside of the range seen in training.
    pub out_of_range: u64,
    /// Texts outside of the values seen in training.
    pub unknown: u64,
}

/// Everything that was found (`drift.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// What it comes to.
    pub state: State,
    /// Why, worst first.
    pub reasons: Vec<String>,
    /// The model.
    pub model: ModelFacts,
    /// Live rows.
    pub rows: u64,
    /// Each input against the training rows.
    pub inputs: DriftReport,
    /// The model's answers; none if the rows hold neither answers nor what the model reads.
    #[serde(default)]
    pub scores: Option<Scores>,
    /// Rows against the schema of the training rows.
    pub quality: Validation,
    /// Inputs with values that training had not seen.
    pub unlike_training: Vec<InputCounts>,
}

impl State {
    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Alert => "alert",
            Self::NotEnoughData => "not_enough_data",
        }
    }
}

impl Findings {
    /// One sentence.
    pub fn summary(&self) -> String {
        match (self.state, self.reasons.as_slice()) {
            (State::Ok, _) => format!("{} rows are like the training rows", self.rows),
            (_, [first]) => first.clone(),
            (_, [first, rest @ ..]) => format!("{first} (and {} more)", rest.len()),
            (state, []) => state.as_str().into(),
        }
    }
}

/// Judges `live` rows by the training rows `train` of `model`.
///
/// # Errors
/// [`MonitoringError::Nothing`] if the rows hold neither inputs nor answers, [`MonitoringError::Reference`] if
/// the training rows do not fit the model.
pub fn monitor(
    model: &Model,
    train: &Columns,
    live: &Columns,
    settings: &Settings,
) -> Result<Findings, MonitoringError> {
    let names: Vec<&str> = model.signature().inputs().iter().map(|input| input.name.as_str()).collect();
    let present = names.iter().filter(|name| live.get(name).is_some()).count();
    let written = scores::written(model, live);
    // Written predictions carry id columns, which may be inputs too: these alone are not the model's rows.
    let has_inputs = present > 0 && (written.is_none() || present * 2 >= names.len());
    if !has_inputs && written.is_none() {
        let names: Vec<&str> = live.columns().iter().take(20).map(|column| column.name.as_str()).collect();
        return Err(MonitoringError::Nothing(names.join(", ")));
    }
    let options = options(settings);
    let kept: Vec<&str> = names.iter().copied().chain([UNIT]).collect();
    let reference = train.select(&kept);
    let inputs = drift(&reference, &live.select(&kept), &options);
    let quality =
        if has_inputs { validate(live, &expected(&reference)) } else { Validation { rows: 0, anomalies: Vec::new() } };
    let answers = match (has_inputs, written) {
        // Rows that do not fit are reported by the validation; what was answered to them then still counts.
        (true, written) => match scores::computed(model, live) {
            Ok(columns) => Ok(Some(("model", columns))),
            Err(error) => written.map(|columns| Some(("rows", columns))).ok_or(error),
        },
        (false, written) => Ok(written.map(|columns| ("rows", columns))),
    };
    let (answers, unreadable) = match answers {
        Ok(answers) => (answers, None),
        Err(error) => (None, Some(error)),
    };
    let scores = answers
        .map(|(source, columns)| {
            let reference = scores::computed(model, train).map_err(MonitoringError::Reference)?;
            let units = (train.get(UNIT), live.get(UNIT));
            scores::compare(model, source, reference, columns, units, &options).map_err(MonitoringError::from)
        })
        .transpose()?;
    let mut findings = Findings {
        state: State::Ok,
        reasons: Vec::new(),
        model: facts(model),
        rows: live.rows() as u64,
        inputs,
        scores,
        quality,
        unlike_training: if has_inputs { unlike_training(model, live) } else { Vec::new() },
    };
    conclude(&mut findings, unreadable.as_ref());
    Ok(findings)
}

fn options(settings: &Settings) -> DriftOptions {
    let defaults = DriftOptions::default();
    let excluded = settings.exclude.iter().map(|name| (name.clone(), "excluded by the monitor".to_owned()));
    DriftOptions {
        exclude: excluded.collect::<BTreeMap<_, _>>(),
        min_rows: if settings.min_rows == 0 { defaults.min_rows } else { settings.min_rows },
        seed: settings.seed,
        unit_column: UNIT.into(),
        ..defaults
    }
}

/// What live rows must look like: the training rows' inputs, a few nulls forgiven.
fn expected(reference: &Columns) -> Schema {
    let options = ProfileOptions { correlated: 0, ..ProfileOptions::default() };
    let mut schema = infer(&profile(reference, &options), &InferOptions::default());
    schema.allow_new_columns = true;
    for column in &mut schema.columns {
        column.min_present = column.min_present.min(1.0 - MISSING_ALLOWED);
    }
    schema
}

fn facts(model: &Model) -> ModelFacts {
    let learner = model.proto().origin.as_ref().map(|origin| origin.learner.clone()).unwrap_or_default();
    ModelFacts { digest: model.digest(), target: model.signature().target().to_owned(), learner }
}

/// Empty if the rows do not fit the model: the validation says what is wrong then.
fn unlike_training(model: &Model, live: &Columns) -> Vec<InputCounts> {
    let Ok(audit) = model.audit(live) else { return Vec::new() };
    let counts = audit.inputs.into_iter().map(|input| InputCounts {
        name: input.name,
        unexpected_null: input.unexpected_null as u64,
        out_of_range: input.out_of_range as u64,
        unknown: input.unknown as u64,
    });
    counts.collect()
}

/// Prediction drift and quality trigger, input drift informs (contract §9).
fn conclude(findings: &mut Findings, unreadable: Option<&ModelError>) {
    let mut alerts: Vec<String> =
        anomalies(&findings.quality, Severity::Error).map(|(column, short)| format!("{column}: {short}")).collect();
    if let Some(error) = unreadable {
        alerts.push(format!("the model cannot read the rows: {error}"));
    }
    let scores = findings.scores.iter().flat_map(|scores| &scores.columns);
    for score in scores.clone().filter(|score| score.verdict == DriftVerdict::Drifted) {
        let what = if score.training.name == "label" { "predicted labels" } else { "predictions" };
        let threshold = score.training.threshold.unwrap_or(0.0);
        alerts.push(format!("{what} drifted: PSI {:.3} where {threshold:.3} is the most without drift", score.psi()));
    }
    let drifted = findings.inputs.drifted();
    let mut warnings: Vec<String> = drifted.iter().map(|name| format!("input `{name}` drifted")).collect();
    warnings
        .extend(anomalies(&findings.quality, Severity::Warning).map(|(column, short)| format!("{column}: {short}")));
    let judged = scores.clone().any(|score| score.verdict != DriftVerdict::Insufficient)
        || matches!(findings.inputs.verdict, DriftVerdict::Stable | DriftVerdict::Drifted);
    findings.state = if !alerts.is_empty() {
        State::Alert
    } else if !judged {
        State::NotEnoughData
    } else if !warnings.is_empty() {
        State::Warning
    } else {
        State::Ok
    };
    let few = findings.inputs.reason.clone();
    findings.reasons = alerts.into_iter().chain(few).chain(warnings).collect();
}

fn anomalies(quality: &Validation, severity: Severity) -> impl Iterator<Item = (String, &str)> {
    quality.anomalies.iter().filter(move |anomaly| anomaly.severity == severity).map(|anomaly| {
        let column = anomaly.column.as_ref().map_or_else(|| "rows".to_owned(), |name| format!("`{name}`"));
        (column, anomaly.short.as_str())
    })
}
