//! One step: hand it to its stage, follow it to its end, record it.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use gristmill_jobs::{Attempt, CrashPoint, JobError};
use gristmill_proto::job::{Job, JobEvent, JobState};
use gristmill_proto::pipeline::Step;
use gristmill_types::JobId;
use tonic::{Code, Status};

use crate::clients::{Clients, StageClient, StageJob};
use crate::run::RunWork;
use crate::steps::{Open, Span, Steps};

/// A step whose job somebody else cancelled is handed in again so often.
const TURNS: u32 = 4;
/// How long a stage may be away before the run's attempt ends (and is tried again later).
const PATIENCE: Duration = Duration::from_secs(120);
/// First and longest wait for a stage that is away.
const WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The run as one attempt does it.
pub(crate) struct Run<'a> {
    pub(crate) clients: &'a Clients,
    pub(crate) steps: &'a Steps,
    pub(crate) attempt: &'a Attempt,
    pub(crate) project: String,
    fresh: bool,
    next: i64,
}

impl<'a> Run<'a> {
    pub(crate) fn new(work: &'a RunWork, clients: &'a Clients, attempt: &'a Attempt, fresh: bool) -> Self {
        let project = attempt.project().to_string();
        Self { clients, steps: &work.steps, attempt, project, fresh, next: 0 }
    }

    pub(crate) fn id(&self) -> JobId {
        self.attempt.id()
    }

    /// The request id of a step: the same in every attempt, so that a later attempt finds what an
    /// earlier one handed in.
    pub(crate) fn request_id(&self, stage: &str, turn: u32) -> String {
        format!("run.{}.{stage}.{turn}", self.id())
    }

    /// Opens the next step.
    pub(crate) async fn open(&mut self) -> Result<Open, JobError> {
        let ordinal = self.next;
        self.next += 1;
        Ok(self.steps.begin(self.id(), self.attempt.fence(), ordinal).await?)
    }

    /// Does a step that is a job of a stage.
    pub(crate) async fn job<C: StageClient>(&mut self, client: &C, spec: C::Spec) -> Result<C::Result, JobError> {
        self.attempt.cancel().check()?;
        self.attempt.progress(C::STAGE, -1.0, "starting");
        let open = self.open().await?;
        for turn in 0..TURNS {
            let request_id = self.request_id(C::STAGE, turn);
            let create = || client.create(&self.project, &request_id, spec.clone(), self.fresh);
            let created = match self.call(C::STAGE, create).await {
                Ok(created) => created,
                Err(error) => return Err(self.refused(&open, C::STAGE, error).await?),
            };
            self.attempt.reach(CrashPoint::MidWork);
            let found = span_if_found(&open, &created.job);
            let ended = if is_final(&created.job) { created } else { self.follow(client, &open, created).await? };
            if ended.job.state() == JobState::Cancelled && !self.attempt.cancel().is_cancelled() {
                continue;
            }
            let mut step = step(C::STAGE, &ended.job);
            match found {
                Some(span) => {
                    step.cached = true;
                    self.steps.end_as(&open, &step, span).await?;
                }
                None => self.steps.end(&open, &step).await?,
            }
            return outcome(C::STAGE, ended);
        }
        let message = format!("{} was cancelled by others {TURNS} times: start the run again", C::STAGE);
        Err(JobError::permanent("STEP_CANCELLED", message))
    }

    /// Follows a stage's job to its end.
    async fn follow<C: StageClient>(
        &self,
        client: &C,
        open: &Open,
        created: StageJob<C::Result>,
    ) -> Result<StageJob<C::Result>, JobError> {
        let id = created.job.id.clone();
        let under_way = Step { state: JobState::Running.into(), ..step(C::STAGE, &created.job) };
        self.steps.put(open, &under_way).await?;
        let mut sequence = 0;
        loop {
            let mut events = self.call(C::STAGE, || client.watch(&self.project, &id, sequence)).await?;
            loop {
                let event = tokio::select! {
                    event = events.next() => event,
                    stopped = self.attempt.cancelled() => return Err(self.stop(client, &id, stopped).await),
                };
                match event {
                    Some(Ok(event)) => {
                        sequence = sequence.max(event.sequence);
                        self.pass_on(C::STAGE, &event);
                    }
                    // The stream broke, or the stage restarts: go on by number.
                    Some(Err(error)) => {
                        tracing::debug!(stage = C::STAGE, %error, "watch broke off");
                        break;
                    }
                    None => break,
                }
            }
            let now = self.call(C::STAGE, || client.get(&self.project, &id)).await?;
            if is_final(&now.job) {
                // `cached` is known to the call that created the job alone.
                return Ok(StageJob { job: Job { cached: created.job.cached, ..now.job }, ..now });
            }
        }
    }

    fn pass_on(&self, stage: &str, event: &JobEvent) {
        if let Some(progress) = &event.progress {
            let message = match (progress.phase.as_str(), progress.message.as_str()) {
                ("", message) => message.to_owned(),
                (phase, "") => phase.to_owned(),
                (phase, message) => format!("{phase}: {message}"),
            };
            self.attempt.progress(stage, progress.fraction, message);
        }
    }

    /// The run is to stop. If somebody asked for its end, the stage's job ends too; if this process
    /// drains, the job goes on and the next attempt finds it.
    async fn stop<C: StageClient>(&self, client: &C, id: &str, stopped: JobError) -> JobError {
        if self.attempt.cancel().is_asked()
            && let Err(error) = client.cancel(&self.project, id).await
            && error.code() != Code::FailedPrecondition
        {
            tracing::warn!(stage = C::STAGE, %error, "the step's job could not be cancelled");
        }
        stopped
    }

    /// A call that is repeated while the stage is away.
    pub(crate) async fn call<T, F>(&self, stage: &str, call: impl Fn() -> F) -> Result<T, JobError>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let until = tokio::time::Instant::now() + PATIENCE;
        let mut wait = WAIT.0;
        loop {
            let answer = tokio::select! {
                answer = call() => answer,
                stopped = self.attempt.cancelled() => return Err(stopped),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(status) if is_away(&status) && tokio::time::Instant::now() < until => {
                    tracing::debug!(stage, %status, "the stage is away, trying again");
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        stopped = self.attempt.cancelled() => return Err(stopped),
                    }
                    wait = (wait * 2).min(WAIT.1);
                }
                Err(status) => return Err(refusal(stage, &status)),
            }
        }
    }

    /// Records a step that its stage would not take; answers the error that ends the run.
    pub(crate) async fn refused(&self, open: &Open, stage: &str, error: JobError) -> Result<JobError, JobError> {
        if !error.is_interrupted() && !error.transient {
            let message = gristmill_proto::job::JobError {
                reason: error.reason.clone(),
                message: error.message.clone(),
                transient: false,
            };
            let state = JobState::Failed.into();
            let step = Step { stage: stage.into(), state, error: Some(message), ..Step::default() };
            self.steps.end(open, &step).await?;
        }
        Ok(error)
    }
}

fn is_final(job: &Job) -> bool {
    matches!(job.state(), JobState::Succeeded | JobState::Failed | JobState::Cancelled)
}

/// When the step's job was done, if an earlier attempt of this run handed it in and it succeeded before
/// this attempt asked for it. A result that another run gave is none: the job says so by itself.
fn span_if_found(open: &Open, job: &Job) -> Option<Span> {
    let before = job.state() == JobState::Succeeded && !job.cached && job.finished_at <= open.started_at;
    before.then_some(Span { started_at: job.created_at, ended_at: job.finished_at })
}

fn is_away(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::ResourceExhausted)
}

/// A stage's refusal as it ends the run's attempt.
pub(crate) fn refusal(stage: &str, status: &Status) -> JobError {
    let problem = gristmill_rpc::Problem::from(status);
    let message = format!("{stage}: {problem}");
    let base = if is_away(status) {
        JobError::transient(problem.reason, message)
    } else {
        JobError::permanent(problem.reason, message)
    };
    base.code(problem.code)
}

/// A stage's job as a step of the run; its seconds are added when it is read.
fn step(stage: &str, job: &Job) -> Step {
    Step {
        stage: stage.into(),
        state: job.state,
        job_id: job.id.clone(),
        cached: job.cached,
        seconds: 0.0,
        outputs: job.outputs.clone(),
        error: job.error.clone(),
        progress: None,
    }
}

fn outcome<R>(stage: &str, ended: StageJob<R>) -> Result<R, JobError> {
    match (ended.job.state(), ended.result) {
        (JobState::Succeeded, Some(result)) => Ok(result),
        (JobState::Succeeded, None) => Err(JobError::internal(format!("{stage} succeeded without a result"))),
        (JobState::Cancelled, _) => Err(JobError::interrupted()),
        _ => {
            let error = ended.job.error.unwrap_or_default();
            // Not tried again by itself: the stage has used its own attempts.
            Err(JobError::permanent(error.reason, format!("{stage} failed: {}", error.message)))
        }
    }
}
