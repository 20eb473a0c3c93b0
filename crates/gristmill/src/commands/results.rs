//! What came of a run: the object of `--output json`, and the same for people.

use std::collections::BTreeMap;

use gristmill_proto::artifact::ArtifactRef;
use gristmill_proto::evaluation::{EvaluationResult, GetEvaluationJobRequest, VerdictState};
use gristmill_proto::job::JobState;
use gristmill_proto::pipeline::{RunJob, Step};
use gristmill_proto::training::{GetStudyJobRequest, StudyResult};
use serde::Serialize;

use crate::failure::{ANOMALIES, Exit, Failure};
use crate::output::{number, seconds, table};
use crate::session::Session;

/// State of a rule that only shows its value: no bound is set, or there is nothing to compare with.
const UNJUDGED: &str = "shown";

/// Rows of the leaderboard that people are shown; the object has all.
const SHOWN: usize = 10;

/// The documented object of `run`, `runs show` and `runs watch`. Stable: fields are only added.
#[derive(Debug, Clone, Serialize)]
pub struct RunObject {
    /// The run's job.
    pub run_id: String,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    pub state: &'static str,
    /// In order.
    pub steps: Vec<StepObject>,
    /// Best first; empty until training has ended.
    pub leaderboard: Vec<LeaderObject>,
    /// Null until evaluation has ended.
    pub evaluation: Option<EvaluationObject>,
    /// The registered version, null when none was.
    pub model: Option<ModelObject>,
    /// Everything the steps made.
    pub artifacts: Vec<ArtifactObject>,
    /// Why it failed, null when it did not.
    pub error: Option<ErrorObject>,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct StepObject {
    stage: String,
    state: &'static str,
    seconds: f64,
    cached: bool,
    job_id: String,
}

/// One trial.
#[derive(Debug, Clone, Serialize)]
pub struct LeaderObject {
    rank: u32,
    learner: String,
    score: f64,
    trial: u32,
    rounds: u32,
    parameters: BTreeMap<String, String>,
    metrics: BTreeMap<String, f64>,
}

/// The evaluation on the test split.
#[derive(Debug, Clone, Serialize)]
pub struct EvaluationObject {
    /// `passed`, `refused`, `not_enough_data` or `not_comparable`.
    pub verdict: &'static str,
    /// One sentence: why.
    pub summary: String,
    metrics: BTreeMap<String, MetricObject>,
    rules: Vec<RuleObject>,
    rows: u64,
    units: u64,
    test_opened: u32,
}

/// One metric with its interval.
#[derive(Debug, Clone, Serialize)]
pub struct MetricObject {
    value: f64,
    low: f64,
    high: f64,
    design_effect: f64,
}

/// One rule of the gate.
#[derive(Debug, Clone, Serialize)]
pub struct RuleObject {
    metric: String,
    state: &'static str,
    value: f64,
    reason: String,
}

/// A registered version.
#[derive(Debug, Clone, Serialize)]
pub struct ModelObject {
    /// Its name.
    pub name: String,
    /// Its number.
    pub version: u32,
    /// Aliases that the run moved to it.
    pub aliases: Vec<String>,
}

/// An artifact's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ArtifactObject {
    kind: String,
    digest: String,
}

/// Why a run failed.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorObject {
    /// The step that failed.
    pub stage: String,
    /// Stable name of what was wrong.
    pub reason: String,
    /// What was wrong and what to do.
    pub message: String,
}

/// A run with what its steps answered.
#[derive(Debug, Clone)]
pub struct RunResults {
    /// The run itself.
    pub run: RunJob,
    /// The study's result, once there is one.
    pub study: Option<StudyResult>,
    /// The evaluation's result, once there is one.
    pub evaluation: Option<EvaluationResult>,
}

impl RunResults {
    /// Asks the stages for what the steps of `run` came to.
    ///
    /// # Errors
    /// A stage cannot be asked.
    pub async fn gather(session: &Session, run: RunJob) -> Result<Self, Failure> {
        let job_of = |stage: &str| {
            let step = steps(&run).iter().find(|step| step.stage == stage);
            step.filter(|step| step.state() == JobState::Succeeded && !step.job_id.is_empty()).map(|s| s.job_id.clone())
        };
        let project = || session.project.clone();
        let study = match job_of("training") {
            Some(id) => {
                let request = GetStudyJobRequest { project: project(), id };
                session.training().get_study_job(request).await?.into_inner().job.and_then(|job| job.result)
            }
            None => None,
        };
        let evaluation = match job_of("evaluation") {
            Some(id) => {
                let request = GetEvaluationJobRequest { project: project(), id };
                session.evaluation().get_evaluation_job(request).await?.into_inner().job.and_then(|job| job.result)
            }
            None => None,
        };
        Ok(Self { run, study, evaluation })
    }

    /// The exit code of a command about this run: a gate that refuses is neither success nor failure.
    pub fn exit(&self) -> Exit {
        let state = self.run.job.as_ref().map_or(JobState::Unspecified, gristmill_proto::job::Job::state);
        let verdict = self.verdict();
        match state {
            JobState::Succeeded if verdict.is_none_or(|verdict| verdict == VerdictState::Passed) => Exit::Done,
            JobState::Succeeded => Exit::Refused,
            // Data that do not fit the schema that was asked for are refused; nothing broke.
            JobState::Failed if self.error().is_some_and(|error| error.reason == ANOMALIES) => Exit::Refused,
            _ => Exit::Failed,
        }
    }

    fn verdict(&self) -> Option<VerdictState> {
        Some(self.evaluation.as_ref()?.verdict.as_ref()?.state())
    }

    /// The object of `--output json`.
    pub fn object(&self) -> RunObject {
        let job = self.run.job.clone().unwrap_or_default();
        let steps = steps(&self.run);
        let mut artifacts: Vec<ArtifactObject> = Vec::new();
        for artifact in steps.iter().flat_map(|step| &step.outputs) {
            let object = object_of(artifact);
            if !artifacts.contains(&object) {
                artifacts.push(object);
            }
        }
        let model = self.run.result.as_ref().filter(|result| result.model_version > 0);
        RunObject {
            run_id: job.id.clone(),
            state: state_name(job.state()),
            steps: steps.iter().map(step_object).collect(),
            leaderboard: self.study.iter().flat_map(|study| &study.leaderboard).map(leader_object).collect(),
            evaluation: self.evaluation.as_ref().map(evaluation_object),
            model: model.map(|result| ModelObject {
                name: result.model_name.clone(),
                version: result.model_version,
                aliases: result.aliases.clone(),
            }),
            artifacts,
            error: self.error(),
        }
    }

    /// Why the run failed: the step that did says it best.
    fn error(&self) -> Option<ErrorObject> {
        let failed = steps(&self.run).iter().find_map(|step| Some((step.stage.clone(), step.error.as_ref()?)));
        let own = self.run.job.as_ref().and_then(|job| job.error.as_ref()).map(|error| ("pipeline".to_owned(), error));
        let (stage, error) = failed.or(own)?;
        Some(ErrorObject { stage, reason: error.reason.clone(), message: error.message.clone() })
    }

    /// The same for people.
    pub fn text(&self) -> String {
        let object = self.object();
        let mut text = format!("run {} {}\n", object.run_id, object.state);
        if let Some(error) = &object.error {
            text.push_str(&format!("  {}: {} ({})\n", error.stage, error.message, error.reason));
        }
        let row = |step: &StepObject| {
            let took = if step.cached { "reused".into() } else { seconds(step.seconds) };
            vec![step.stage.clone(), step.state.to_owned(), took]
        };
        let rows: Vec<Vec<String>> = object.steps.iter().map(row).collect();
        text.push_str(&format!("\n{}", table(&["step", "state", "time"], &rows)));
        if let Some(study) = &self.study {
            text.push_str(&format!("\n{}", leaderboard_text(&object.leaderboard, &study.objective)));
        }
        if let Some(evaluation) = &object.evaluation {
            text.push_str(&format!("\n{}", evaluation_text(evaluation)));
        }
        if let Some(model) = &object.model {
            let aliases =
                if model.aliases.is_empty() { String::new() } else { format!(" ({})", model.aliases.join(", ")) };
            text.push_str(&format!("\nregistered {} version {}{aliases}\n", model.name, model.version));
        } else if let Some(result) = &self.run.result
            && !result.summary.is_empty()
        {
            text.push_str(&format!("\n{}\n", result.summary));
        }
        text
    }
}

/// The steps as they ended, or as they stand.
pub fn steps(run: &RunJob) -> &[Step] {
    match &run.result {
        Some(result) if !result.steps.is_empty() => &result.steps,
        _ => &run.steps,
    }
}

fn object_of(artifact: &ArtifactRef) -> ArtifactObject {
    ArtifactObject { kind: artifact.kind.clone(), digest: artifact.digest.clone() }
}

fn step_object(step: &Step) -> StepObject {
    StepObject {
        stage: step.stage.clone(),
        state: state_name(step.state()),
        seconds: step.seconds,
        cached: step.cached,
        job_id: step.job_id.clone(),
    }
}

fn leader_object(row: &gristmill_proto::training::LeaderboardRow) -> LeaderObject {
    LeaderObject {
        rank: row.rank,
        learner: row.learner.clone(),
        score: row.score,
        trial: row.trial,
        rounds: row.rounds,
        parameters: row.parameters.clone(),
        metrics: row.metrics.clone(),
    }
}

fn evaluation_object(evaluation: &EvaluationResult) -> EvaluationObject {
    let verdict = evaluation.verdict.clone().unwrap_or_default();
    let metric = |m: &gristmill_proto::evaluation::MetricValue| {
        let object = MetricObject { value: m.value, low: m.low, high: m.high, design_effect: m.design_effect };
        (m.name.clone(), object)
    };
    let rule = |rule: &gristmill_proto::evaluation::RuleOutcome| RuleObject {
        metric: rule.rule.as_ref().map(|rule| rule.metric.clone()).unwrap_or_default(),
        state: verdict_name(rule.state()),
        value: rule.value,
        reason: rule.reason.clone(),
    };
    EvaluationObject {
        verdict: verdict_name(verdict.state()),
        metrics: evaluation.metrics.iter().map(metric).collect(),
        rules: verdict.rules.iter().map(rule).collect(),
        summary: verdict.summary,
        rows: evaluation.rows,
        units: evaluation.units,
        test_opened: evaluation.test_opened,
    }
}

fn leaderboard_text(board: &[LeaderObject], objective: &str) -> String {
    let row = |row: &LeaderObject| {
        let parameters: Vec<String> =
            row.parameters.iter().map(|(name, value)| format!("{name} {}", short(value))).collect();
        let parameters: String = parameters.join(", ").chars().take(72).collect();
        vec![row.rank.to_string(), row.learner.clone(), number(row.score), row.rounds.to_string(), parameters]
    };
    let rows: Vec<Vec<String>> = board.iter().take(SHOWN).map(row).collect();
    let score = format!("{objective} (validation)");
    let mut text = table(&["rank", "learner", &score, "rounds", "parameters"], &rows);
    if board.len() > SHOWN {
        text.push_str(&format!("and {} more\n", board.len() - SHOWN));
    }
    text
}

/// A parameter's value with the digits that people read.
fn short(value: &str) -> String {
    value.parse::<f64>().map_or_else(|_| value.to_owned(), number)
}

fn evaluation_text(evaluation: &EvaluationObject) -> String {
    let row = |(name, metric): (&String, &MetricObject)| {
        vec![name.clone(), number(metric.value), number(metric.low), number(metric.high)]
    };
    let rows: Vec<Vec<String>> = evaluation.metrics.iter().map(row).collect();
    let mut text = format!("test: {} rows in {} units of dependence\n", evaluation.rows, evaluation.units);
    text.push_str(&table(&["metric", "value", "low", "high"], &rows));
    text.push_str(&format!("\nverdict: {}\n", evaluation.verdict.replace('_', " ")));
    let judged: Vec<&RuleObject> = evaluation.rules.iter().filter(|rule| rule.state != UNJUDGED).collect();
    if judged.is_empty() && !evaluation.summary.is_empty() {
        text.push_str(&format!("  {}\n", evaluation.summary));
    }
    for rule in judged {
        text.push_str(&format!("  {}: {}\n", rule.state.replace('_', " "), rule.reason));
    }
    text
}

/// A job state in the words of `--output json`.
pub const fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Unspecified => "waiting",
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

const fn verdict_name(verdict: VerdictState) -> &'static str {
    match verdict {
        VerdictState::Unspecified => UNJUDGED,
        VerdictState::Passed => "passed",
        VerdictState::Refused => "refused",
        VerdictState::NotEnoughData => "not_enough_data",
        VerdictState::NotComparable => "not_comparable",
    }
}
