//! Leasing a job to a worker.

use std::time::Duration;

use gristmill_runtime::values;
use gristmill_types::{JobState, Micros};

use super::Inner;
use super::candidate::{self, Offer};
use super::rows::Stored;
use super::unit::Unit;
use crate::{Claim, CrashPoint, EventKind, Lease, Leased, LedgerError};

/// How often to look again when others took everything that was offered.
const ROUNDS: u32 = 4;

const ATTEMPT: &str = "insert into {s}attempt (job, fence, worker, started_at, cpu_micros, peak_bytes) \
    values ($1, $2, $3, $4, 0, 0)";

impl Inner {
    pub(super) async fn claim(&self, claim: &Claim) -> Result<Option<Leased>, LedgerError> {
        for _ in 0..ROUNDS {
            // Reading first keeps idle workers out of the writers' line.
            let mut offers = self.offers(claim).await?;
            if offers.is_empty() {
                return Ok(None);
            }
            let mut unit = Unit::begin(self).await?;
            if !self.db.is_shared() {
                // The only writer sees the order as it is; elsewhere it may change at any moment anyway.
                let rows = unit.tx.fetch(&self.sql(candidate::OFFERS), candidate::values(claim, self.now())).await?;
                offers = rows.iter().map(Offer::read).collect::<Result<_, _>>()?;
            }
            for offer in &offers {
                if let Some(stored) = unit.take(offer, claim).await? {
                    return self.lease(unit, stored, claim).await.map(Some);
                }
            }
        }
        Ok(None)
    }

    /// Makes a job that waits the claimer's.
    async fn lease(&self, mut unit: Unit<'_>, mut stored: Stored, claim: &Claim) -> Result<Leased, LedgerError> {
        let now = self.now();
        stored.job.state = JobState::Running;
        stored.job.fence += 1;
        stored.job.tries += 1;
        stored.job.started_at = Some(now);
        stored.lease_until = Some(now.saturating_add(self.options.lease_micros()));
        stored.worker = Some(claim.worker.clone());
        let id = stored.job.id;
        let attempt = values![id, stored.job.fence, claim.worker.as_str(), now];
        unit.tx.execute(&self.sql(ATTEMPT), attempt).await?;
        unit.record(&mut stored, EventKind::Claimed, None, &claim.worker).await?;
        unit.save(&stored).await?;
        unit.claimed(&stored);
        unit.commit().await?;
        self.options.crash.reach(CrashPoint::AfterClaim);
        let lease = Lease { project: stored.job.project.clone(), job: id, fence: stored.job.fence };
        Ok(Leased { lease, job: stored.job, lasts: self.options.lease, checkpoint: stored.checkpoint })
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

    async fn offers(&self, claim: &Claim) -> Result<Vec<Offer>, LedgerError> {
        let rows = self.db.fetch(&self.sql(candidate::OFFERS), candidate::values(claim, self.now())).await?;
        Ok(rows.iter().map(Offer::read).collect::<Result<_, _>>()?)
    }

    /// When the next job that this worker understands may start.
    async fn soonest(&self, claim: &Claim) -> Result<Option<Micros>, LedgerError> {
        let asked = || values![candidate::kinds(claim), claim.spec_version];
        let row = self.db.fetch_optional(&self.sql(candidate::SOONEST), asked()).await?;
        let soonest: Option<Micros> = row.map(|row| row.get("soonest")).transpose()?.flatten();
        if soonest.is_none()
            && let Some(row) = self.db.fetch_optional(&self.sql(candidate::NEWER), asked()).await?
        {
            tracing::warn!(
                kinds = ?claim.kinds,
                spec_version = row.get::<u32>("newest")?,
                understood = claim.spec_version,
                "a job is of a newer version than this worker understands, start a newer worker"
            );
        }
        Ok(soonest)
    }
}
