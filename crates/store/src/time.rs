//! What time it is by the clock that dates objects.

use std::sync::{Arc, Mutex, PoisonError};

use gristmill_types::{Clock, Micros};
use object_store::ObjectMeta;

use crate::StoreError;
use crate::backend::{Backend, store_time};

/// Services date objects to the second.
const RESOLUTION: Micros = 1_000_000;
/// A difference of clocks that is worth a warning.
const NOTABLE: Micros = 60_000_000;

/// How old objects are.
///
/// An object behind a network is dated by the service's clock, and ours may be an hour off: by our clock a
/// sweep could take what was just written for old. So the service is asked for its time, by writing a small
/// object and reading its date, before every sweep, and for puts whenever the last answer is older than an
/// eighth of the grace (a put needs it only to half of the grace). Files of a folder are dated by
/// ourselves, with our clock.
#[derive(Debug)]
pub(crate) struct StoreTime {
    clock: Arc<dyn Clock>,
    valid_for: Micros,
    measured: Mutex<Option<Measured>>,
}

/// How far the store's clock is ahead of ours.
#[derive(Debug, Clone, Copy)]
struct Measured {
    at: Micros,
    least: Micros,
    most: Micros,
}

impl StoreTime {
    pub(crate) fn new(clock: Arc<dyn Clock>, grace: Micros) -> Self {
        Self { clock, valid_for: grace / 8, measured: Mutex::new(None) }
    }

    /// Our own clock's time.
    pub(crate) fn ours(&self) -> Micros {
        self.clock.now()
    }

    /// For a sweep, measured now: not later than it is, so that nothing looks older than it is.
    pub(crate) async fn for_sweep(&self, backend: &Backend) -> Result<Micros, StoreError> {
        if backend.root.is_some() {
            return Ok(self.clock.now());
        }
        let measured = self.measure(backend).await?;
        Ok(measured.at.saturating_add(measured.least))
    }

    /// For a put: not earlier than it is, so that nothing is left alone that a sweep would take.
    pub(crate) async fn for_put(&self, backend: &Backend) -> Result<Micros, StoreError> {
        if backend.root.is_some() {
            return Ok(self.clock.now());
        }
        let last = *self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let measured = match last {
            // A clock that was set back or far ahead since then makes the answer useless too.
            Some(last) if (0..self.valid_for).contains(&now.saturating_sub(last.at)) => last,
            _ => self.measure(backend).await?,
        };
        Ok(self.clock.now().saturating_add(measured.most))
    }

    async fn measure(&self, backend: &Backend) -> Result<Measured, StoreError> {
        let before = self.clock.now();
        let theirs = store_time(backend).await?;
        let after = self.clock.now();
        let measured = Measured {
            at: after,
            least: theirs.saturating_sub(after),
            most: theirs.saturating_sub(before).saturating_add(RESOLUTION),
        };
        if measured.least > NOTABLE || measured.most < -NOTABLE {
            tracing::warn!(
                ahead_micros = measured.least,
                "the object store's clock and ours differ; ages go by its clock"
            );
        }
        *self.measured.lock().unwrap_or_else(PoisonError::into_inner) = Some(measured);
        Ok(measured)
    }
}

/// How long before `now` an object was put.
pub(crate) fn age(now: Micros, meta: &ObjectMeta) -> Micros {
    now.saturating_sub(meta.last_modified.timestamp_micros())
}
