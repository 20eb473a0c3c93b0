//! Keeping a lease: heartbeats, pins and checkpoints.

use gristmill_runtime::values;
use gristmill_types::{Digest, Micros};

use super::Inner;
use super::unit::Unit;
use crate::{Beat, Lease, LedgerError, Progress};

/// Never moves the end of a lease back, whatever the clock does.
const EXTEND: &str = "update {s}job set lease_until = case when lease_until > $4 then lease_until else $4 end \
    where id = $1 and project = $2 and fence = $3 and state = 'running' returning cancel_requested";
const PIN: &str = "insert into {s}pin (job, fence, digest) values ($1, $2, $3) on conflict do nothing";

impl Inner {
    pub(super) async fn heartbeat(&self, lease: &Lease, progress: Option<Progress>) -> Result<Beat, LedgerError> {
        let now = self.now();
        let third = self.options.lease_micros() / 3;
        if let Some(held) = self.live.get(lease.job)
            && held.fence == lease.fence
            && (0..third).contains(&now.saturating_sub(held.written_at))
        {
            self.live.beat(lease, progress, None);
            return Ok(Beat { cancel: held.cancel });
        }
        let cancel = self.extend(lease, now).await?;
        self.live.beat(lease, progress, Some(now));
        Ok(Beat { cancel })
    }

    async fn extend(&self, lease: &Lease, now: Micros) -> Result<bool, LedgerError> {
        let until = now.saturating_add(self.options.lease_micros());
        let mut tx = self.db.begin().await?;
        let values = values![lease.job, &lease.project, lease.fence, until];
        let row = tx.fetch_optional(&self.sql(EXTEND), values).await?;
        let row = row.ok_or(LedgerError::LeaseLost { id: lease.job, fence: lease.fence })?;
        let cancel = row.get("cancel_requested")?;
        tx.commit().await?;
        Ok(cancel)
    }

    pub(super) async fn pin(&self, lease: &Lease, digests: &[Digest]) -> Result<(), LedgerError> {
        let mut unit = Unit::begin(self).await?;
        unit.load_held(lease).await?;
        for digest in digests {
            unit.tx.execute(&self.sql(PIN), values![lease.job, lease.fence, digest]).await?;
        }
        unit.commit().await
    }

    pub(super) async fn checkpoint(&self, lease: &Lease, state: Digest) -> Result<(), LedgerError> {
        let mut unit = Unit::begin(self).await?;
        let mut stored = unit.load_held(lease).await?;
        stored.checkpoint = Some(state);
        unit.save(&stored).await?;
        unit.commit().await
    }
}
