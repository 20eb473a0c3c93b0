//! Trials as child jobs: submitted when their turn has come, awaited, read.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use gristmill_jobs::{Attempt, Job, JobError, Submit};
use gristmill_learn::{Outcome, StudySpec, Trial, TrialReport};
use gristmill_proto::training::{TrialResult, TrialSpec};
use gristmill_stage::{AttemptStore, JobStage, cache_key};
use gristmill_types::{ArtifactRef, JobId, JobState, RequestId};
use prost::Message;

use super::{Ended, SplitFacts, StudyWork};
use crate::TrainingError;
use crate::convert::{self, Checked};
use crate::service::Trials as TrialStage;
use crate::trial::TRIAL_PART;

/// One study's view of its trials.
pub(super) struct Trials<'a> {
    pub work: &'a StudyWork,
    pub attempt: &'a Attempt,
    pub store: &'a AttemptStore,
    pub checked: &'a Checked,
    pub study: &'a StudySpec,
    pub facts: &'a SplitFacts,
}

impl Trials<'_> {
    /// Runs the study's trials. Trial n is proposed once trials 0 … n − lag are done, and from those
    /// alone.
    pub(super) async fn run(&self) -> Result<Ended, JobError> {
        let mut done: BTreeMap<u32, TrialReport> = BTreeMap::new();
        let mut before: Vec<(i64, i64)> = Vec::new();
        let mut running = FuturesUnordered::new();
        let (mut next, mut stopped_by) = (0, "trials");
        loop {
            while next < self.study.trials && self.study.needs(next).all(|number| done.contains_key(&number)) {
                if next > 0 && self.out_of_time(&mut before) {
                    stopped_by = "time";
                    break;
                }
                let trial = self.proposed(next, &done)?;
                running.push(self.trial(trial));
                next += 1;
            }
            let finished = tokio::select! {
                stop = self.attempt.cancelled() => return Err(stop),
                finished = running.next() => finished,
            };
            let Some(report) = finished else { break };
            let (report, job) = report?;
            before.extend(self.before_this_attempt(&job));
            done.insert(report.number, report);
            self.progress(&done);
        }
        Ok(Ended { reports: done.into_values().collect(), stopped_by })
    }

    fn proposed(&self, number: u32, done: &BTreeMap<u32, TrialReport>) -> Result<Trial, JobError> {
        let earlier: Vec<TrialReport> =
            self.study.needs(number).filter_map(|number| done.get(&number)).cloned().collect();
        let plan = self.study.plan(self.facts.task, number);
        let trial = self.study.trial(&plan, self.facts.task, self.facts.rows, &earlier);
        Ok(trial.map_err(TrainingError::Study)?)
    }

    /// Whether the study's time is over: that of this attempt, and that in which earlier attempts had trials under way.
    /// The time in which nothing ran does not count.
    fn out_of_time(&self, before: &mut [(i64, i64)]) -> bool {
        let budget = self.checked.budget.map(|budget| i64::try_from(budget.as_micros()).unwrap_or(i64::MAX));
        let spent = self.work.clock.now().saturating_sub(self.began());
        budget.is_some_and(|budget| spent.saturating_add(covered(before)) >= budget)
    }

    fn began(&self) -> i64 {
        let job = self.attempt.job();
        job.started_at.unwrap_or(job.created_at)
    }

    /// When a trial of this study ran, if that was before this attempt began. A trial that another study had done is
    /// older than this one and cost it nothing.
    fn before_this_attempt(&self, trial: &Job) -> Option<(i64, i64)> {
        let (from, to) = trial.started_at.zip(trial.ended_at)?;
        let ours = from >= self.attempt.job().created_at && from < self.began();
        ours.then(|| (from, to.min(self.began())))
    }

    fn progress(&self, done: &BTreeMap<u32, TrialReport>) {
        let best = done.values().filter_map(|report| Some((report.loss()?, report)));
        let best = best.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.number.cmp(&b.1.number)));
        let message = best.map_or_else(String::new, |(loss, report)| {
            format!("{} of {} trials, best {} with {loss:.5}", done.len(), self.study.trials, report.learner)
        });
        self.attempt.progress("trials", 0.9 * done.len() as f64 / f64::from(self.study.trials), message);
    }

    /// Submits one trial, waits for it and reads its report.
    async fn trial(&self, trial: Trial) -> Result<(TrialReport, Job), JobError> {
        let job = self.child(&format!("trial-{}", trial.number), &trial, None).await?;
        let report = self.report(trial, &job).await?;
        Ok((report, job))
    }

    /// What a trial that has ended says.
    async fn report(&self, trial: Trial, job: &Job) -> Result<TrialReport, JobError> {
        match (job.state, &job.error) {
            (JobState::Succeeded, _) => {
                let model = model_of(job)?;
                let bytes = self.store.read(&model, TRIAL_PART).await?;
                let report: TrialReport =
                    serde_json::from_slice(&bytes).map_err(|error| TrainingError::input(TRIAL_PART, error))?;
                Ok(report)
            }
            (JobState::Failed, Some(error)) if error.reason == "TRIAL_FAILED" => {
                Ok(failed(&trial, error.message.clone()))
            }
            (JobState::Cancelled, _) => Ok(failed(&trial, "it was cancelled".into())),
            (_, Some(error)) if error.reason == "INVALID_STUDY" => Err(error.clone()),
            (_, error) => {
                let message = error.as_ref().map_or_else(|| "no reason was given".into(), |e| e.message.clone());
                Err(TrainingError::TrialError { number: trial.number, message }.into())
            }
        }
    }

    /// A child job, found again by its name if an earlier attempt had submitted it, once it has ended.
    pub(super) async fn child(&self, name: &str, trial: &Trial, refit: Option<Option<u32>>) -> Result<Job, JobError> {
        let spec: TrialSpec = convert::trial_message(&self.checked.inputs, trial, refit);
        let payload = spec.encode_to_vec();
        let request_id = RequestId::new(format!("{}/{name}", self.attempt.id())).map_err(JobError::internal)?;
        let key = cache_key::<TrialStage>(&payload);
        let submit = Submit::new(self.attempt.project().clone(), TrialStage::KIND, request_id, payload)
            .spec_version(TrialStage::SPEC_VERSION)
            .cache_key(key)
            .fresh(self.attempt.job().fresh)
            .parent(self.attempt.id());
        let ledger = &self.work.ledger;
        let submitted = ledger.submit(submit).await.map_err(ledger_error)?;
        let id: JobId = submitted.job.id;
        ledger.finished(self.attempt.project(), id).await.map_err(ledger_error)
    }
}

/// Microseconds that at least one of the intervals covers.
fn covered(intervals: &mut [(i64, i64)]) -> i64 {
    intervals.sort_unstable();
    let (mut total, mut until) = (0_i64, i64::MIN);
    for (from, to) in intervals.iter() {
        let from = (*from).max(until);
        if *to > from {
            total = total.saturating_add(to - from);
            until = *to;
        }
    }
    total
}

/// The artifact of a trial that succeeded.
pub(super) fn model_of(job: &Job) -> Result<ArtifactRef, JobError> {
    let result = job.result.as_deref().map(TrialResult::decode).transpose().ok().flatten();
    let model = result.and_then(|result| gristmill_proto::artifact_ref("model", result.model.as_ref()).ok());
    model.ok_or_else(|| JobError::internal("a trial's result cannot be read"))
}

fn failed(trial: &Trial, reason: String) -> TrialReport {
    TrialReport {
        number: trial.number,
        learner: trial.learner,
        params: trial.params.clone(),
        seed: trial.seed,
        outcome: Outcome::Failed { reason },
    }
}

fn ledger_error(error: gristmill_jobs::LedgerError) -> JobError {
    let message = error.to_string();
    JobError::transient("LEDGER", message).code(error.code()).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::covered;

    #[test]
    fn overlapping_trials_count_once_and_pauses_not_at_all() {
        assert_eq!(covered(&mut []), 0);
        assert_eq!(covered(&mut [(100, 110), (0, 10), (5, 20), (6, 7)]), 30);
    }
}
