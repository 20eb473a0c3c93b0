//! Between the contract's messages and the domain.

use std::collections::BTreeMap;
use std::time::Duration;

use gristmill_learn::{Dimension, LearnError, LearnerKind, ParamValue, Params, Range, Space, StudySpec, Task, Trial};
use gristmill_proto::training as message;
use gristmill_stats::metric::ThresholdRule;
use gristmill_types::ArtifactRef;

use crate::TrainingError;

/// Trials of one study at most.
const MAX_TRIALS: u32 = 10_000;
/// Rounds of one trial at most.
const MAX_ROUNDS: u32 = 100_000;

/// The prepared data of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Inputs {
    pub transform: ArtifactRef,
    pub train: ArtifactRef,
    pub validation: ArtifactRef,
}

/// A checked study spec.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Checked {
    pub inputs: Inputs,
    pub study: StudySpec,
    pub budget: Option<Duration>,
    /// None for "on for time splits".
    pub refit: Option<bool>,
    pub threshold: ThresholdRule,
    /// Fixed values by learner and parameter; which learners there are is known once the task is.
    pub fixed: BTreeMap<LearnerKind, BTreeMap<String, ParamValue>>,
}

/// A checked trial spec.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CheckedTrial {
    pub inputs: Inputs,
    pub trial: Trial,
    /// Fit on both splits for the rounds of the params' trial (none for a learner without rounds).
    pub refit: Option<Option<u32>>,
}

/// Checks everything of a study that needs no data.
pub(crate) fn check(spec: &message::StudySpec) -> Result<Checked, TrainingError> {
    let inputs = inputs(spec.transform.as_ref(), spec.train.as_ref(), spec.validation.as_ref())?;
    let mut study = StudySpec { seed: spec.seed, ..StudySpec::default() };
    if spec.trials > MAX_TRIALS {
        return Err(TrainingError::spec("trials", format!("at most {MAX_TRIALS} trials")));
    }
    if spec.trials > 0 {
        study.trials = spec.trials;
    }
    if spec.lag > 0 {
        study.lag = spec.lag;
    }
    for (at, name) in spec.learners.iter().enumerate() {
        let learner =
            name.parse().map_err(|e: LearnError| TrainingError::spec(format!("learners[{at}]"), e.to_string()))?;
        study.learners.push(learner);
    }
    let mut fixed: BTreeMap<LearnerKind, BTreeMap<String, ParamValue>> = BTreeMap::new();
    for (name, value) in [("max_rounds", spec.max_rounds), ("patience", spec.early_stopping_rounds)] {
        if value > MAX_ROUNDS {
            return Err(TrainingError::spec(name, format!("at most {MAX_ROUNDS} rounds")));
        }
        if value > 0 {
            let value = ParamValue::Int(i64::from(value));
            fixed.entry(LearnerKind::Boosting).or_default().insert(name.into(), value);
        }
    }
    for (key, value) in &spec.fixed {
        let field = || format!("fixed[{key}]");
        let (learner, name) = key
            .split_once('.')
            .ok_or_else(|| TrainingError::spec(field(), "write learner.parameter, such as boosting.max_depth"))?;
        let learner = learner.parse().map_err(|e: LearnError| TrainingError::spec(field(), e.to_string()))?;
        fixed.entry(learner).or_default().insert(name.into(), value_of(value));
    }
    let refit = match spec.refit() {
        message::Refit::Unspecified | message::Refit::Auto => None,
        message::Refit::On => Some(true),
        message::Refit::Off => Some(false),
    };
    let budget = (spec.time_budget_seconds > 0).then(|| Duration::from_secs(spec.time_budget_seconds.into()));
    Ok(Checked { inputs, study, budget, refit, threshold: threshold(spec)?, fixed })
}

fn threshold(spec: &message::StudySpec) -> Result<ThresholdRule, TrainingError> {
    let costs = [("false_positive_cost", spec.false_positive_cost), ("false_negative_cost", spec.false_negative_cost)];
    match spec.threshold.as_str() {
        "" | "f1" => match costs.iter().find(|(_, cost)| *cost != 0.0) {
            None => Ok(ThresholdRule::F1),
            Some((field, _)) => Err(TrainingError::spec(*field, "costs count only with threshold `cost`")),
        },
        "cost" => {
            for (field, cost) in costs {
                if !cost.is_finite() || cost <= 0.0 {
                    return Err(TrainingError::spec(field, "a cost is a positive number"));
                }
            }
            let [(_, false_positive), (_, false_negative)] = costs;
            Ok(ThresholdRule::Cost { false_positive, false_negative })
        }
        other => {
            let other: String = other.chars().take(40).collect();
            Err(TrainingError::spec("threshold", format!("`{other}` is not a rule: write f1 or cost")))
        }
    }
}

impl Checked {
    /// The study for `task`, with fixed values in the place of ranges; those of learners that are not
    /// tried are checked and left out.
    pub(crate) fn for_task(&self, task: Task, rows: usize) -> Result<StudySpec, TrainingError> {
        let mut study = self.study.clone();
        let tried = study.learners(task);
        for (learner, values) in &self.fixed {
            let space = Space(
                values
                    .iter()
                    .map(|(name, value)| {
                        (
                            name.clone(),
                            Dimension { range: Range::Fixed { value: value.clone() }, default: value.clone() },
                        )
                    })
                    .collect(),
            );
            learner.learner().space(task, rows).overridden(*learner, &space).map_err(TrainingError::Study)?;
            if tried.contains(learner) {
                study.spaces.insert(*learner, space);
            }
        }
        study.check(task).map_err(TrainingError::Study)?;
        Ok(study)
    }
}

/// A trial as the contract writes it.
pub(crate) fn trial_message(inputs: &Inputs, trial: &Trial, refit: Option<Option<u32>>) -> message::TrialSpec {
    message::TrialSpec {
        number: trial.number,
        learner: trial.learner.to_string(),
        parameters: parameters(&trial.params),
        transform: Some(inputs.transform.into()),
        train: Some(inputs.train.into()),
        validation: Some(inputs.validation.into()),
        max_rounds: refit.flatten().unwrap_or(0),
        early_stopping_rounds: 0,
        seed: trial.seed,
        refit: refit.is_some(),
    }
}

/// Checks a stored trial spec.
pub(crate) fn check_trial(spec: &message::TrialSpec) -> Result<CheckedTrial, TrainingError> {
    let learner = spec.learner.parse().map_err(|e: LearnError| TrainingError::spec("learner", e.to_string()))?;
    let params = Params(spec.parameters.iter().map(|(name, value)| (name.clone(), value_of(value))).collect());
    Ok(CheckedTrial {
        inputs: inputs(spec.transform.as_ref(), spec.train.as_ref(), spec.validation.as_ref())?,
        trial: Trial { number: spec.number, learner, params, seed: spec.seed },
        refit: spec.refit.then(|| (spec.max_rounds > 0).then_some(spec.max_rounds)),
    })
}

/// Parameters as the contract writes them; [`value_of`] reads them back exactly.
pub(crate) fn parameters(params: &Params) -> BTreeMap<String, String> {
    params.0.iter().map(|(name, value)| (name.clone(), value.to_string())).collect()
}

fn value_of(text: &str) -> ParamValue {
    match (text.parse(), text.parse::<f64>()) {
        (Ok(whole), _) => ParamValue::Int(whole),
        (_, Ok(number)) if number.is_finite() => ParamValue::Float(number),
        _ => ParamValue::Text(text.to_owned()),
    }
}

fn inputs(
    transform: Option<&gristmill_proto::artifact::ArtifactRef>,
    train: Option<&gristmill_proto::artifact::ArtifactRef>,
    validation: Option<&gristmill_proto::artifact::ArtifactRef>,
) -> Result<Inputs, TrainingError> {
    let read = |field: &str, artifact| {
        gristmill_proto::artifact_ref(field, artifact).map_err(|error| TrainingError::spec(error.field, error.message))
    };
    Ok(Inputs {
        transform: read("transform", transform)?,
        train: read("train", train)?,
        validation: read("validation", validation)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_back_exactly() {
        let values = [
            ("a", ParamValue::Float(1e-7)),
            ("b", ParamValue::Float(0.1 + 0.2)),
            ("c", ParamValue::Int(-3)),
            ("d", ParamValue::Text("gini".into())),
        ];
        for (_, value) in &values {
            assert_eq!(value_of(&value.to_string()), *value);
        }
        // A whole number of a float parameter is read as one; learners take either.
        assert_eq!(value_of(&ParamValue::Float(2.0).to_string()), ParamValue::Int(2));
    }
}
