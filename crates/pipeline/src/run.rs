//! A run: the steps in order, each through the stage that does it.

mod follow;
mod publish;

use std::collections::BTreeMap;

use gristmill_jobs::{Attempt, JobError, Outcome, Work};
use gristmill_proto::artifact;
use gristmill_proto::evaluation::{Champion, EvaluationResult, VerdictState};
use gristmill_proto::pipeline::{CreateRunJobRequest, RunResult, RunSpec};
use gristmill_proto::registry::ModelVersion;
use gristmill_stage::JobStage;
use gristmill_types::ArtifactRef;
use prost::Message;

use crate::clients::Channels;
use crate::file::{Given, Interval, Pipeline};
use crate::service::Runs;
use crate::steps::Steps;
use crate::{PipelineError, convert};

pub(crate) use follow::Run;

/// Does runs. It only waits for other stages, so it takes no CPU slot.
#[derive(Debug)]
pub(crate) struct RunWork {
    pub(crate) channels: Channels,
    pub(crate) steps: Steps,
}

/// The verdict's word in results and registry.
pub(crate) const fn verdict_word(state: VerdictState) -> &'static str {
    match state {
        VerdictState::Passed => "passed",
        VerdictState::Refused => "refused",
        VerdictState::NotEnoughData => "not_enough_data",
        VerdictState::NotComparable => "not_comparable",
        VerdictState::Unspecified => "",
    }
}

/// Reads the file of a run.
pub(crate) fn read(spec: &RunSpec) -> Result<Pipeline, PipelineError> {
    let interval = Interval { start: spec.interval_start.clone(), end: spec.interval_end.clone() };
    let given = Given { parameters: spec.parameters.clone(), interval };
    Ok(Pipeline::parse(&spec.pipeline, &given)?)
}

impl Work for RunWork {
    const KIND: &'static str = Runs::KIND;

    fn slots(&self) -> usize {
        0
    }

    async fn run(&self, attempt: Attempt) -> Result<Outcome, JobError> {
        let payload = CreateRunJobRequest::decode(attempt.payload())
            .map_err(|_| JobError::permanent("INVALID_SPEC", "the stored run cannot be read: start it again"))?;
        let spec = payload.spec.unwrap_or_default();
        let pipeline = read(&spec)?;
        // The run was allowed as a whole when it was submitted: its steps are the pipeline's own calls, on
        // account of whoever asked for it.
        let clients = self.channels.initiated_by(attempt.job().actor.as_deref()).clients();
        let mut run = Run::new(self, &clients, &attempt, payload.fresh);
        let result = self.all_steps(&mut run, &pipeline, &spec.uploads).await?;
        let mut outcome = Outcome::new(result.encode_to_vec());
        let mut named: Vec<ArtifactRef> = Vec::new();
        for output in result.steps.iter().flat_map(|step| &step.outputs) {
            let output = ArtifactRef::try_from(output).map_err(|error| JobError::internal(error.to_string()))?;
            if !named.contains(&output) {
                named.push(output);
                outcome = outcome.output(output);
            }
        }
        Ok(outcome)
    }
}

impl RunWork {
    async fn all_steps(
        &self,
        run: &mut Run<'_>,
        pipeline: &Pipeline,
        uploads: &BTreeMap<String, artifact::ArtifactRef>,
    ) -> Result<RunResult, JobError> {
        let clients = run.clients;
        let data = run.job(&clients.ingestion, convert::ingestion(pipeline, uploads)?).await?;
        let prepared = run.job(&clients.preparation, convert::preparation(pipeline, data.dataset)).await?;
        let study = run.job(&clients.training, convert::study(pipeline, &prepared)).await?;
        let champion = run.champion(pipeline).await?;
        let other = champion.as_ref().filter(|champion| champion.model != study.model).map(as_champion);
        let spec = convert::evaluation(pipeline, study.model.clone(), &prepared, other);
        let evaluated = run.job(&clients.evaluation, spec).await?;
        let version = run.register(pipeline, &study, &prepared, &evaluated).await?;
        let aliases = match &version {
            Some(version) => run.promote(pipeline, version, champion.as_ref(), &evaluated).await?,
            None => Vec::new(),
        };
        let (verdict, summary) = verdict(&evaluated);
        Ok(RunResult {
            steps: self.steps.of(run.id()).await?,
            model_name: version.as_ref().map(|version| version.name.clone()).unwrap_or_default(),
            model_version: version.as_ref().map_or(0, |version| version.version),
            aliases,
            verdict: verdict.into(),
            summary,
        })
    }
}

/// The verdict's word and sentence.
fn verdict(evaluated: &EvaluationResult) -> (&'static str, String) {
    match &evaluated.verdict {
        Some(verdict) => (verdict_word(verdict.state()), verdict.summary.clone()),
        None => ("", String::new()),
    }
}

fn as_champion(version: &ModelVersion) -> Champion {
    Champion { model: version.model.clone(), seen: version.seen.clone(), version: version.version }
}
