//! What a run left behind, read from its artifacts.

use gristmill_evaluation::{Evaluation, VerdictFile};
use gristmill_learn::Recipe;
use gristmill_preparation::SplitReport;
use gristmill_proto::artifact::ArtifactRef;
use gristmill_proto::ingestion::{GetIngestionJobRequest, IngestionResult};
use gristmill_proto::job::JobState;
use gristmill_proto::pipeline::Step;
use gristmill_stats::profile::Profile;
use gristmill_training::{Board, ModelSummary};
use serde::de::DeserializeOwned;

use crate::commands::results::{RunResults, steps};
use crate::failure::Failure;
use crate::session::Session;
use crate::transfer;

/// Everything a report is made of; what the run has not come to is absent.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    /// Name of the pipeline.
    pub name: String,
    /// How the sources were brought together (`dataset.json`).
    pub dataset: Option<gristmill_frame::Report>,
    /// Statistics of the dataset (`profile.json`).
    pub profile: Option<Profile>,
    /// What was wrong with the data.
    pub anomalies: Vec<AnomalyFact>,
    /// Each split (`split.json`): train, validation, test.
    pub splits: Vec<SplitReport>,
    /// What becomes of each column, and why (`recipe.json`).
    pub recipe: Option<Recipe>,
    /// Every trial (`leaderboard.json`).
    pub board: Option<Board>,
    /// The model (`model.json`).
    pub model: Option<ModelSummary>,
    /// What was measured (`evaluation.json`).
    pub evaluation: Option<Evaluation>,
    /// What the gate said (`verdict.json`).
    pub verdict: Option<VerdictFile>,
    /// The run's steps.
    pub steps: Vec<StepFact>,
    /// The registered version.
    pub registered: Option<Registered>,
    /// Why the run failed.
    pub error: Option<String>,
}

/// One anomaly of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnomalyFact {
    /// Whether it is an error rather than a warning.
    pub error: bool,
    /// Column; empty for the table.
    pub column: String,
    /// What is wrong.
    pub message: String,
}

/// One step of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct StepFact {
    /// Stage.
    pub stage: String,
    /// `succeeded`, `failed`, …
    pub state: String,
    /// Wall time.
    pub seconds: f64,
    /// Whether an earlier run's result was reused.
    pub cached: bool,
}

/// A registered version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Name.
    pub name: String,
    /// Number.
    pub version: u32,
    /// Aliases that were moved to it.
    pub aliases: Vec<String>,
}

impl Documents {
    /// Reads what the steps of a run made, over the artifact service.
    ///
    /// # Errors
    /// An artifact cannot be read, or is not what its kind says.
    pub async fn gather(session: &Session, results: &RunResults, name: &str) -> Result<Self, Failure> {
        let object = results.object();
        let mut documents = Self {
            name: name.to_owned(),
            error: object.error.as_ref().map(|error| error.message.clone()),
            registered: object.model.as_ref().map(|model| Registered {
                name: model.name.clone(),
                version: model.version,
                aliases: model.aliases.clone(),
            }),
            ..Self::default()
        };
        for step in steps(&results.run) {
            documents.steps.push(StepFact {
                stage: step.stage.clone(),
                state: step.state().as_str_name().trim_start_matches("JOB_STATE_").to_lowercase(),
                seconds: step.seconds,
                cached: step.cached,
            });
            if step.state() == JobState::Succeeded {
                documents.read_step(session, step).await?;
            }
        }
        Ok(documents)
    }

    async fn read_step(&mut self, session: &Session, step: &Step) -> Result<(), Failure> {
        for artifact in &step.outputs {
            match artifact.kind.as_str() {
                "dataset" => {
                    let value: serde_json::Value = read(session, artifact, "dataset.json").await?;
                    self.dataset = integration_report(&value);
                }
                "profile" => self.profile = Some(read(session, artifact, "profile.json").await?),
                "prepared" => self.splits.push(read(session, artifact, "split.json").await?),
                "transform" => self.recipe = Some(read(session, artifact, "recipe.json").await?),
                "study" => self.board = Some(read(session, artifact, "leaderboard.json").await?),
                "model" => self.model = Some(read(session, artifact, "model.json").await?),
                "evaluation" => {
                    self.evaluation = Some(read(session, artifact, "evaluation.json").await?);
                    self.verdict = Some(read(session, artifact, "verdict.json").await?);
                }
                _ => {}
            }
        }
        if step.stage == "ingestion" && !step.job_id.is_empty() {
            let request = GetIngestionJobRequest { project: session.project.clone(), id: step.job_id.clone() };
            let job = session.ingestion().get_ingestion_job(request).await?.into_inner().job;
            self.anomalies = job.and_then(|job| job.result).map(|result| anomalies(&result)).unwrap_or_default();
        }
        Ok(())
    }

    /// The column that is predicted, once it is known.
    pub fn target(&self) -> Option<&str> {
        let recipe = || self.recipe.as_ref().map(|recipe| recipe.target.name.as_str());
        self.model.as_ref().map(|model| model.target.as_str()).or_else(recipe)
    }
}

fn anomalies(result: &IngestionResult) -> Vec<AnomalyFact> {
    let fact = |anomaly: &gristmill_proto::ingestion::Anomaly| AnomalyFact {
        error: anomaly.severity == "error",
        column: anomaly.column.clone(),
        message: anomaly.message.clone(),
    };
    result.anomalies.iter().map(fact).collect()
}

async fn read<T: DeserializeOwned>(session: &Session, artifact: &ArtifactRef, part: &str) -> Result<T, Failure> {
    let bytes = transfer::read(&mut session.artifacts(), &session.project, artifact, part).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::failed(format!("`{part}` of {} artifact {} cannot be read: {error}", artifact.kind, artifact.digest))
    })
}

/// The account of the integration: the document itself, or the part of it that is one.
fn integration_report(value: &serde_json::Value) -> Option<gristmill_frame::Report> {
    let parse = |value: &serde_json::Value| serde_json::from_value(value.clone()).ok();
    parse(value).or_else(|| value.as_object()?.values().find_map(parse))
}
