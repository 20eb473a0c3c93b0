//! The pure part: models and raw rows to figures and a verdict.

mod curves;
mod rows;
mod score;

use gristmill_model::Model;
use gristmill_stats::compare::{Comparison, compare};
use gristmill_stats::gate::{Champion, Evidence, Gate, GateSpec, State, Verdict, judge};
use gristmill_stats::interval::{Estimates, Replicates, Resampling, Units};
use gristmill_stats::metric::{Metric, Scores, Task};
use gristmill_types::{ArtifactRef, Columns};

use self::rows::Selection;
pub(crate) use self::rows::row_keys;
use self::score::Truth;
use crate::EvaluationError;
use crate::document::{Evaluation, ModelFacts, RowFacts, VerdictFile};

/// How to judge, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The rules; none for the default ones of the model's task.
    pub gate: Option<GateSpec>,
    /// How to resample.
    pub resampling: Resampling,
}

/// A model and what it has seen.
#[derive(Debug)]
pub struct Candidate {
    /// The model artifact.
    pub artifact: ArtifactRef,
    /// Version number of a champion.
    pub version: Option<u32>,
    /// The model.
    pub model: Model,
    /// Keys of the rows in its training and validation data, ascending.
    pub seen: Vec<i64>,
}

/// Everything an evaluation is computed from.
#[derive(Debug)]
pub struct Inputs {
    /// The model that is judged.
    pub candidate: Candidate,
    /// The model that it would replace.
    pub champion: Option<Candidate>,
    /// The test artifact.
    pub test: ArtifactRef,
    /// Its raw rows, with target, `_row_key` and perhaps `_unit`.
    pub rows: Columns,
    /// What a unit is, in words.
    pub unit: String,
    /// How often a test was opened for this model name, this time included.
    pub test_opened: u32,
    /// How to judge.
    pub settings: Settings,
}

/// The champion on the same rows.
struct Rival {
    scores: Scores,
    replicates: Replicates,
}

/// Measures the candidate and the champion on rows that neither has seen, and holds the rules against what comes out.
///
/// # Errors
/// [`EvaluationError`] if the candidate cannot be measured at all. A champion that cannot be measured, too few units and
/// a refusing gate are results, not errors.
pub fn evaluate(inputs: &Inputs) -> Result<(Evaluation, VerdictFile), EvaluationError> {
    let Inputs { candidate, champion, settings, .. } = inputs;
    let task = score::task(&candidate.model);
    let (gate, default_rules) = checked_gate(settings, task)?;
    let truth = Truth::read(&candidate.model, &inputs.rows)?;
    let selection = rows::select(&inputs.rows, &truth, candidate, champion.as_ref())?;
    let table = inputs.rows.take(&selection.measured);
    let units = rows::units(&table);
    let truth = truth.take(&selection.measured);

    let scores = truth.scores(&candidate.model, &candidate.model.predict(&table)?)?;
    let replicates = Replicates::of(&scores, &units, settings.resampling)?;
    let estimates = replicates.estimates();
    let constant = against_constant(&gate, &scores, &units, &replicates, settings.resampling)?;
    let measure = Measure { candidate, table: &table, truth: &truth, units: &units, resampling: settings.resampling };
    let rival = champion.as_ref().map(|champion| measure.rival(champion, &selection)).transpose()?;
    let evidence = match &rival {
        None => Champion::Missing,
        Some(Err(reason)) => Champion::NotComparable(reason.clone()),
        Some(Ok(rival)) => Champion::Compared(compare(&replicates, &rival.replicates)?),
    };
    let verdict = judge(&gate, &Evidence { candidate: Some(&estimates), constant: &constant, champion: &evidence });
    let verdict = file(&gate, default_rules, verdict, &estimates);

    let rival = rival.and_then(Result::ok);
    let curves = curves::curves(&scores, rival.as_ref().map(|rival| &rival.scores));
    let (comparison, not_comparable) = match evidence {
        Champion::Missing => (Vec::new(), None),
        Champion::NotComparable(reason) => (Vec::new(), Some(reason)),
        Champion::Compared(comparison) => (comparison, None),
    };
    let evaluation = Evaluation {
        format_version: 1,
        model: facts(candidate),
        champion: champion.as_ref().map(facts),
        not_comparable,
        rows: row_facts(inputs, &selection, &units),
        test_opened: inputs.test_opened,
        estimates,
        champion_estimates: rival.map(|rival| rival.replicates.estimates()),
        constant,
        comparison,
        curves,
    };
    Ok((evaluation, verdict))
}

fn checked_gate(settings: &Settings, task: Task) -> Result<(Gate, bool), EvaluationError> {
    match &settings.gate {
        Some(spec) => Ok((spec.clone().check(task)?, false)),
        None => Ok((GateSpec::default_of(task).check(task)?, true)),
    }
}

/// The candidate against the best constant predictor, for the metrics that rules ask for and the primary one.
fn against_constant(
    gate: &Gate,
    scores: &Scores,
    units: &Units,
    replicates: &Replicates,
    resampling: Resampling,
) -> Result<Vec<Comparison>, EvaluationError> {
    let mut metrics = vec![Metric::primary(scores.task())];
    let asked = gate.rules().iter().filter(|rule| rule.better_than_constant.is_some()).map(|rule| rule.metric);
    metrics.extend(asked);
    let constant = Replicates::of_metrics(&scores.constant_baseline()?, units, resampling, &metrics)?;
    Ok(compare(replicates, &constant)?)
}

/// What both models are measured on.
struct Measure<'a> {
    candidate: &'a Candidate,
    table: &'a Columns,
    truth: &'a Truth,
    units: &'a Units,
    resampling: Resampling,
}

impl Measure<'_> {
    /// Measures the champion; the inner error says why it cannot be compared.
    fn rival(&self, champion: &Candidate, selection: &Selection) -> Result<Result<Rival, String>, EvaluationError> {
        if selection.nothing_in_common {
            let reason = "no test row is outside of both models' training and validation data";
            return Ok(Err(reason.into()));
        }
        if let Err(reason) = score::same_question(&self.candidate.model, &champion.model) {
            return Ok(Err(reason));
        }
        let predictions = match champion.model.predict(self.table) {
            Ok(predictions) => predictions,
            Err(error) => return Ok(Err(format!("it cannot score these rows: {error}"))),
        };
        let scores = self.truth.scores(&champion.model, &predictions)?;
        let replicates = Replicates::of(&scores, self.units, self.resampling)?;
        Ok(Ok(Rival { scores, replicates }))
    }
}

fn file(gate: &Gate, default_rules: bool, verdict: Verdict, estimates: &Estimates) -> VerdictFile {
    let head = match verdict.state {
        State::Passed => "passed",
        State::Refused => "refused",
        State::NotEnoughData => "not enough data",
        State::NotComparable => "not comparable",
    };
    let first = verdict.reasons.first().map_or("", String::as_str);
    let summary = format!("{head} on {} rows in {} units: {first}", estimates.rows, estimates.units);
    VerdictFile {
        format_version: 1,
        state: verdict.state,
        summary,
        reasons: verdict.reasons,
        default_rules,
        rules: gate.rules().to_vec(),
        findings: verdict.findings,
    }
}

fn row_facts(inputs: &Inputs, selection: &Selection, units: &Units) -> RowFacts {
    let count = |rows: usize| rows as u64;
    RowFacts {
        test: inputs.test,
        in_test: count(inputs.rows.rows()),
        without_target: count(selection.without_target),
        seen_by_model: count(selection.seen_by_model),
        seen_by_champion: count(selection.seen_by_champion),
        measured: count(selection.measured.len()),
        units: count(units.count()),
        unit: inputs.unit.clone(),
    }
}

fn facts(candidate: &Candidate) -> ModelFacts {
    let model = &candidate.model;
    let origin = model.proto().origin.clone().unwrap_or_default();
    let task = score::task(model);
    ModelFacts {
        artifact: candidate.artifact,
        version: candidate.version,
        learner: origin.learner,
        parameters: origin.parameters.into_iter().collect(),
        task,
        target: score::target(model).to_owned(),
        labels: model.labels().to_vec(),
        threshold: (task == Task::Binary).then(|| model.output().threshold()),
        calibration: score::calibration(model).to_owned(),
        inputs: model.signature().inputs().iter().map(|input| input.name.clone()).collect(),
    }
}
