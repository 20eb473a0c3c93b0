//! Ending an attempt: commit, fail, release.

use gristmill_runtime::values;
use gristmill_types::{JobState, Limits};

use super::Inner;
use super::rows::{Stored, micros};
use super::unit::{Ending, Unit, cancelled};
use crate::{Done, EventKind, Job, JobError, Lease, LedgerError, Observed, Outcome, StageRows};

const OUTPUT: &str = "insert into {s}output (job, ordinal, kind, digest) values ($1, $2, $3, $4)";

impl Inner {
    pub(super) async fn commit(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        observed: Observed,
        rows: &dyn StageRows,
    ) -> Result<Job, LedgerError> {
        let (limit, found) = (Limits::DEFAULT.control_bytes, outcome.result.len());
        if found > limit {
            return Err(LedgerError::TooLarge { what: "a job's result", limit, found });
        }
        let mut unit = Unit::begin(self).await?;
        let mut stored = unit.load_leased(lease).await?;
        match stored.job.state {
            JobState::Running => {}
            JobState::Succeeded => return Ok(stored.job),
            JobState::Cancelled => return Err(LedgerError::Cancelled { id: lease.job }),
            JobState::Queued | JobState::Failed => {
                return Err(LedgerError::LeaseLost { id: lease.job, fence: lease.fence });
            }
        }
        if stored.job.cancel_requested {
            end_cancelled(&mut unit, &mut stored, observed).await?;
            unit.commit().await?;
            return Err(LedgerError::Cancelled { id: lease.job });
        }
        let done = Done { job: &stored.job, result: &outcome.result, outputs: &outcome.outputs };
        rows.write(&mut unit.tx, done).await.map_err(LedgerError::Rows)?;
        for (ordinal, output) in (0_i64..).zip(&outcome.outputs) {
            let values = values![lease.job, ordinal, output.kind.as_str(), output.digest];
            unit.tx.execute(&self.sql(OUTPUT), values).await?;
        }
        stored.job.result = Some(outcome.result.clone());
        stored.job.outputs.clone_from(&outcome.outputs);
        stored.job.observed = observed;
        stored.job.error = None;
        let ending = Ending { outcome: "succeeded", message: None, observed };
        unit.end(&mut stored, JobState::Succeeded, None, ending).await?;
        unit.commit_result().await?;
        Ok(stored.job)
    }

    pub(super) async fn fail(&self, lease: &Lease, error: &JobError, observed: Observed) -> Result<Job, LedgerError> {
        let mut unit = Unit::begin(self).await?;
        let mut stored = unit.load_held(lease).await?;
        if stored.job.cancel_requested {
            end_cancelled(&mut unit, &mut stored, observed).await?;
        } else {
            let ending = Ending { outcome: "failed", message: Some(&error.message), observed };
            stored.job.error = Some(error.clone());
            if error.transient && stored.job.tries < stored.job.max_attempts {
                let (first, cap) = (self.options.backoff, self.options.max_backoff);
                let wait = micros(self.ids.backoff(stored.job.tries, first, cap));
                let run_at = self.now().saturating_add(wait);
                unit.requeue(&mut stored, run_at, EventKind::Retried, ending).await?;
            } else {
                stored.job.observed = observed;
                unit.end(&mut stored, JobState::Failed, None, ending).await?;
            }
        }
        unit.commit().await?;
        Ok(stored.job)
    }

    pub(super) async fn release(&self, lease: &Lease) -> Result<Job, LedgerError> {
        let mut unit = Unit::begin(self).await?;
        let mut stored = unit.load_held(lease).await?;
        if stored.job.cancel_requested {
            end_cancelled(&mut unit, &mut stored, Observed::default()).await?;
        } else {
            stored.job.tries = stored.job.tries.saturating_sub(1);
            let ending = Ending { outcome: "released", message: None, observed: Observed::default() };
            unit.requeue(&mut stored, self.now(), EventKind::Released, ending).await?;
        }
        unit.commit().await?;
        Ok(stored.job)
    }
}

/// Ends a running job whose end was asked for.
pub(super) async fn end_cancelled(
    unit: &mut Unit<'_>,
    stored: &mut Stored,
    observed: Observed,
) -> Result<(), LedgerError> {
    stored.job.error = Some(cancelled());
    stored.job.observed = observed;
    unit.end(stored, JobState::Cancelled, None, Ending { outcome: "cancelled", message: None, observed }).await
}
