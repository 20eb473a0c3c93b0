//! Leasing a job to a worker.

use std::time::Duration;

use gristmill_runtime::values;
use gristmill_types::{JobId, JobState, Micros};

use super::unit::Unit;
use super::{Inner, candidate};
use crate::{Claim, CrashPoint, EventKind, Lease, Leased, LedgerError};

const ATTEMPT: &str = "insert into {s}attempt (job, fence, worker, started_at, cpu_micros, peak_bytes) \
    values ($1, $2, $3, $4, 0, 0)";
const QUEUED: &str = "select min(case when spec_version <= $2 then run_at end) as soonest, \
    max(spec_version) as newest from {s}job where state = 'queued' and kind in (select value from json_each($1))";

impl Inner {
    pub(super) async fn claim(&self, claim: &Claim) -> Result<Option<Leased>, LedgerError> {
        // Reading first keeps idle workers out of the writers' line.
        if !self.may_have_work(claim).await? {
            return Ok(None);
        }
        let mut unit = Unit::begin(self).await?;
        let now = self.now();
        let row = unit.tx.fetch_optional(&self.sql(candidate::SQLITE), candidate::values(claim, now)).await?;
        let Some(row) = row else { return Ok(None) };
        let id: JobId = row.get("id")?;
        let Some(mut stored) = unit.load(id).await? else { return Ok(None) };
        stored.job.state = JobState::Running;
        stored.job.fence += 1;
        stored.job.tries += 1;
        stored.job.started_at = Some(now);
        stored.lease_until = Some(now.saturating_add(self.options.lease_micros()));
        stored.worker = Some(claim.worker.clone());
        let attempt = values![id, stored.job.fence, claim.worker.as_str(), now];
        unit.tx.execute(&self.sql(ATTEMPT), attempt).await?;
        unit.record(&mut stored, EventKind::Claimed, None, &claim.worker).await?;
        unit.save(&stored).await?;
        unit.claimed(&stored);
        unit.commit().await?;
        self.options.crash.reach(CrashPoint::AfterClaim);
        let lease = Lease { project: stored.job.project.clone(), job: id, fence: stored.job.fence };
        Ok(Some(Leased { lease, job: stored.job, lasts: self.options.lease, checkpoint: stored.checkpoint }))
    }

    pub(super) async fn work_available(&self, claim: &Claim, at_most: Duration) -> Result<(), LedgerError> {
        let mut queue = self.live.queue();
        queue.mark_unchanged();
        let Some(soonest) = self.soonest(claim).await? else {
            // An empty queue fills only with a ring; a closed one cannot happen while the ledger lives.
            let _ = tokio::time::timeout(at_most, queue.changed()).await;
            return Ok(());
        };
        let wait = u64::try_from(soonest.saturating_sub(self.now())).map_or(Duration::ZERO, Duration::from_micros);
        if !wait.is_zero() {
            let _ = tokio::time::timeout(at_most.min(wait), queue.changed()).await;
        }
        Ok(())
    }

    async fn may_have_work(&self, claim: &Claim) -> Result<bool, LedgerError> {
        let values = candidate::values(claim, self.now());
        Ok(self.db.fetch_optional(&self.sql(candidate::SQLITE), values).await?.is_some())
    }

    /// When the next job that this worker understands may start.
    async fn soonest(&self, claim: &Claim) -> Result<Option<Micros>, LedgerError> {
        let row =
            self.db.fetch_optional(&self.sql(QUEUED), values![candidate::kinds(claim), claim.spec_version]).await?;
        let Some(row) = row else { return Ok(None) };
        let newest: Option<u32> = row.get("newest")?;
        if let Some(newest) = newest.filter(|newest| *newest > claim.spec_version) {
            tracing::warn!(
                kinds = ?claim.kinds,
                spec_version = newest,
                understood = claim.spec_version,
                "a job is of a newer version than this worker understands, start a newer worker"
            );
        }
        Ok(row.get("soonest")?)
    }
}
