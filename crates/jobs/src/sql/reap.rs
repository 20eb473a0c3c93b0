//! Taking leases from workers that fell silent.

use std::sync::{Mutex, PoisonError};

use gristmill_runtime::values;
use gristmill_types::{JobId, JobState, Micros};

use super::Inner;
use super::finish::end_cancelled;
use super::unit::{Ending, Unit};
use crate::{EventKind, JobError, LedgerError, Observed, Reaped};

/// Leases looked at, and taken per transaction where the writer is alone.
const BATCH: usize = 500;

const EXPIRED: &str = "select id from {s}job where state = 'running' and lease_until < $1 order by id limit $2";

/// Remembers when the reaper last looked. If it was away for longer than a lease (the database was
/// down, the machine slept, the clock jumped), workers could not be heard either: they get one lease of
/// time before anything is taken.
#[derive(Debug, Default)]
pub(super) struct Watchman(Mutex<Watch>);

#[derive(Debug, Default)]
struct Watch {
    last: Option<Micros>,
    hold_until: Micros,
}

impl Watchman {
    /// Notes that the reaper looks at `now`; answers whether it may take leases.
    fn may_reap(&self, now: Micros, lease: Micros) -> bool {
        let mut watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let away = watch.last.is_none_or(|last| now.saturating_sub(last) > lease || now < last);
        if away {
            watch.hold_until = now.saturating_add(lease);
        }
        watch.last = Some(now);
        now >= watch.hold_until
    }

    /// Notes that the database did not answer.
    fn outage(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last = None;
    }

    /// Notes that every lease before `now` is accounted for.
    fn start(&self, now: Micros) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Watch { last: Some(now), hold_until: now };
    }
}

impl Inner {
    pub(super) async fn reap(&self) -> Result<Reaped, LedgerError> {
        if self.db.is_shared() {
            // A clock that jumped must not take what lives.
            self.set_clock().await;
        }
        let now = self.now();
        if !self.reap.may_reap(now, self.options.lease_micros()) {
            return Ok(Reaped { held_off: true, ..Reaped::default() });
        }
        let found = self.take(now).await;
        if found.is_err() {
            self.reap.outage();
        }
        found
    }

    /// Takes every lease there is: none of their holders lives. For a database of this process alone.
    pub(super) async fn reap_dead(&self) -> Result<Reaped, LedgerError> {
        let found = self.take(Micros::MAX).await?;
        self.reap.start(self.now());
        Ok(found)
    }

    async fn take(&self, before: Micros) -> Result<Reaped, LedgerError> {
        let mut found = Reaped::default();
        // Reapers of several processes hold one job (and its children) at a time: then none waits for one
        // that waits for it.
        let at_once = if self.db.is_shared() { 1 } else { BATCH };
        loop {
            let so_far = found;
            let rows = self.db.fetch(&self.sql(EXPIRED), values![before, BATCH as u64]).await?;
            for rows in rows.chunks(at_once) {
                let mut unit = Unit::begin(self).await?;
                for row in rows {
                    self.take_one(&mut unit, row.get("id")?, before, &mut found).await?;
                }
                unit.commit().await?;
            }
            // None is left, or others are at them.
            if found == so_far {
                return Ok(found);
            }
        }
    }

    async fn take_one(
        &self,
        unit: &mut Unit<'_>,
        id: JobId,
        before: Micros,
        found: &mut Reaped,
    ) -> Result<(), LedgerError> {
        let Some(mut stored) = unit.load_free(id).await? else { return Ok(()) };
        if stored.lease_until.is_none_or(|until| until >= before) {
            return Ok(());
        }
        let observed = Observed::default();
        if stored.job.cancel_requested {
            end_cancelled(unit, &mut stored, observed).await?;
            found.ended += 1;
        } else if stored.job.tries < stored.job.max_attempts {
            let ending = Ending { outcome: "lost", message: None, observed };
            unit.requeue(&mut stored, self.now(), EventKind::Lost, ending).await?;
            found.requeued += 1;
        } else {
            let error = exhausted(stored.job.tries);
            let ending = Ending { outcome: "lost", message: Some(&error.message), observed };
            stored.job.error = Some(error.clone());
            unit.end(&mut stored, JobState::Failed, None, ending).await?;
            found.ended += 1;
        }
        Ok(())
    }
}

fn exhausted(tries: u32) -> JobError {
    JobError::transient(
        "ATTEMPTS_EXHAUSTED",
        format!("the worker was lost in the last of {tries} attempts: it may need more memory than it is given"),
    )
}
