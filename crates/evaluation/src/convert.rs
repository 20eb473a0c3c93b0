//! Between the contract's messages and the stage's own types.

use gristmill_proto::evaluation as message;
use gristmill_stats::gate::{Basis, Finding, GateSpec, Outcome, Rule, State};
use gristmill_stats::interval::{Estimate, Resampling};
use gristmill_stats::metric::{Metric, Task};
use gristmill_types::{ArtifactKind, ArtifactRef, Name};

use crate::EvaluationError;
use crate::document::{Evaluation, VerdictFile};
use crate::evaluate::Settings;

/// Splits of one model, at most.
const MAX_SEEN: usize = 64;
/// Rules of one gate, at most.
const MAX_RULES: usize = 100;

/// A checked spec.
#[derive(Debug)]
pub(crate) struct Checked {
    pub model: ArtifactRef,
    pub test: ArtifactRef,
    pub seen: Vec<ArtifactRef>,
    pub champion: Option<CheckedChampion>,
    pub model_name: String,
    pub settings: Settings,
}

/// A checked champion.
#[derive(Debug)]
pub(crate) struct CheckedChampion {
    pub model: ArtifactRef,
    pub seen: Vec<ArtifactRef>,
    pub version: Option<u32>,
}

/// Checks everything that needs no data.
pub(crate) fn check(spec: &message::EvaluationSpec) -> Result<Checked, EvaluationError> {
    let champion = match &spec.champion {
        None => None,
        Some(champion) => Some(CheckedChampion {
            model: artifact("champion.model", ArtifactKind::Model, champion.model.as_ref())?,
            seen: splits("champion.seen", &champion.seen)?,
            version: (champion.version > 0).then_some(champion.version),
        }),
    };
    if !spec.model_name.is_empty() {
        Name::new(spec.model_name.clone()).map_err(|error| EvaluationError::spec("model_name", error.to_string()))?;
    }
    let settings = Settings { gate: gate(&spec.gate)?, resampling: resampling(spec)? };
    Ok(Checked {
        model: artifact("model", ArtifactKind::Model, spec.model.as_ref())?,
        test: artifact("test", ArtifactKind::Prepared, spec.test.as_ref())?,
        seen: splits("seen", &spec.seen)?,
        champion,
        model_name: spec.model_name.clone(),
        settings,
    })
}

fn artifact(
    field: &str,
    kind: ArtifactKind,
    message: Option<&gristmill_proto::artifact::ArtifactRef>,
) -> Result<ArtifactRef, EvaluationError> {
    let artifact = gristmill_proto::artifact_ref(field, message)
        .map_err(|error| EvaluationError::spec(error.field, error.message))?;
    if artifact.kind != kind {
        return Err(EvaluationError::spec(field, format!("a {kind} artifact is needed, not a {}", artifact.kind)));
    }
    Ok(artifact)
}

fn splits(
    field: &str,
    messages: &[gristmill_proto::artifact::ArtifactRef],
) -> Result<Vec<ArtifactRef>, EvaluationError> {
    if messages.is_empty() {
        let message = "name the prepared training and validation splits, so that rows the model has seen are left out";
        return Err(EvaluationError::spec(field, message));
    }
    if messages.len() > MAX_SEEN {
        return Err(EvaluationError::spec(field, format!("at most {MAX_SEEN} splits can be named")));
    }
    let at = |(number, message)| artifact(&format!("{field}[{number}]"), ArtifactKind::Prepared, Some(message));
    messages.iter().enumerate().map(at).collect()
}

fn resampling(spec: &message::EvaluationSpec) -> Result<Resampling, EvaluationError> {
    let default = Resampling::default();
    let replicates = if spec.replicates == 0 { default.replicates } else { spec.replicates };
    if !(100..=100_000).contains(&replicates) {
        return Err(EvaluationError::spec("replicates", "choose 100 to 100000, or 0 for the default of 1000"));
    }
    let confidence = if spec.confidence == 0.0 { default.confidence } else { spec.confidence };
    if !(confidence > 0.5 && confidence < 1.0) {
        return Err(EvaluationError::spec("confidence", "choose a number above 0.5 and below 1, such as 0.95"));
    }
    Ok(Resampling { replicates, confidence, seed: spec.seed, ..default })
}

/// Rules as the gate reads them; none for the default ones, which depend on the task.
fn gate(rules: &[message::GateRule]) -> Result<Option<GateSpec>, EvaluationError> {
    if rules.is_empty() {
        return Ok(None);
    }
    if rules.len() > MAX_RULES {
        return Err(EvaluationError::spec("gate", format!("a gate has at most {MAX_RULES} rules")));
    }
    let rules: Vec<Rule> =
        rules.iter().enumerate().map(|(number, rule)| one_rule(number, rule)).collect::<Result<_, _>>()?;
    let fits = |task: &Task| rules.iter().all(|rule| rule.metric.applies_to(*task));
    let spec = GateSpec { rules: rules.clone() };
    // The task is the model's, so it is checked again when the model is read; what fits no task is refused at once.
    match [Task::Binary, Task::Multiclass, Task::Regression].into_iter().find(fits) {
        Some(task) => {
            spec.clone().check(task).map_err(at_gate)?;
            Ok(Some(spec))
        }
        None => {
            Err(EvaluationError::spec("gate", "the rules name metrics of different tasks: use those of the model's"))
        }
    }
}

/// The request calls the list of rules `gate`.
fn at_gate(mut error: gristmill_stats::gate::GateError) -> EvaluationError {
    for (field, _) in &mut error.problems {
        *field = field.replacen("rules", "gate", 1);
    }
    error.into()
}

fn one_rule(number: usize, rule: &message::GateRule) -> Result<Rule, EvaluationError> {
    let metric: Metric = rule.metric.parse().map_err(|error: gristmill_stats::metric::MetricError| {
        EvaluationError::spec(format!("gate[{number}].metric"), error.to_string())
    })?;
    Ok(Rule {
        min: rule.min,
        max: rule.max,
        better_than_constant: rule.better_than_constant.then_some(0.0),
        non_inferiority_margin: rule.champion_margin,
        improvement: rule.champion_gain,
        suspicious_improvement: rule.suspicious_gain,
        basis: if rule.interval { Basis::Interval } else { Basis::Point },
        ..Rule::show(metric)
    })
}

/// The answer for callers who do not read artifacts.
pub(crate) fn result(
    artifact: ArtifactRef,
    evaluation: &Evaluation,
    verdict: &VerdictFile,
) -> message::EvaluationResult {
    message::EvaluationResult {
        evaluation: Some(artifact.into()),
        verdict: Some(message::Verdict {
            state: state(verdict.state).into(),
            rules: verdict.findings.iter().map(outcome).collect(),
            summary: verdict.summary.clone(),
        }),
        metrics: evaluation.estimates.metrics.iter().filter_map(metric).collect(),
        rows: evaluation.rows.measured,
        units: evaluation.rows.units,
        test_opened: evaluation.test_opened,
    }
}

const fn state(state: State) -> message::VerdictState {
    match state {
        State::Passed => message::VerdictState::Passed,
        State::Refused => message::VerdictState::Refused,
        State::NotEnoughData => message::VerdictState::NotEnoughData,
        State::NotComparable => message::VerdictState::NotComparable,
    }
}

/// One bound with its rule cut down to that bound. A bound that was skipped or only shows has no state.
fn outcome(finding: &Finding) -> message::RuleOutcome {
    let bound = |name: &str| if finding.bound == name { finding.limit } else { None };
    let value = finding.value.unwrap_or(f64::NAN);
    message::RuleOutcome {
        rule: Some(message::GateRule {
            metric: finding.metric.name().into(),
            min: bound("min"),
            max: bound("max"),
            champion_margin: bound("non_inferiority_margin"),
            champion_gain: bound("improvement"),
            suspicious_gain: bound("suspicious_improvement"),
            interval: finding.basis == Basis::Interval,
            better_than_constant: bound("better_than_constant").is_some(),
        }),
        state: match finding.outcome {
            Outcome::Passed => message::VerdictState::Passed,
            Outcome::Refused => message::VerdictState::Refused,
            Outcome::NotEnoughData => message::VerdictState::NotEnoughData,
            Outcome::NotComparable => message::VerdictState::NotComparable,
            Outcome::Skipped | Outcome::Shown => message::VerdictState::Unspecified,
        }
        .into(),
        value,
        low: finding.interval.map_or(value, |interval| interval.low),
        high: finding.interval.map_or(value, |interval| interval.high),
        reason: finding.reason.clone(),
    }
}

fn metric(estimate: &Estimate) -> Option<message::MetricValue> {
    let value = estimate.value?;
    Some(message::MetricValue {
        name: estimate.metric.name().into(),
        value,
        low: estimate.interval.map_or(value, |interval| interval.low),
        high: estimate.interval.map_or(value, |interval| interval.high),
        design_effect: estimate.design_effect.unwrap_or(1.0),
    })
}
