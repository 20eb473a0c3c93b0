//! Checkpoints of a trial: taken between rounds, stored beside the fit, read by the next attempt.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gristmill_jobs::{Attempt, JobError, LedgerError};
use gristmill_stage::AttemptStore;
use gristmill_types::{ArtifactKind, ArtifactRef, Clock, Micros};
use tokio::sync::watch;

use crate::convert::Inputs;

/// The learner's bytes.
const PART: &str = "state.bin";
/// Work that is worth keeping, in microseconds.
const LEAST: Micros = 1_000_000;
/// Going on after a checkpoint may cost this part of the time between two.
const SHARE: Micros = 20;

/// When to take a checkpoint: so rarely that going on after it costs a twentieth of the time at most.
#[derive(Debug)]
pub(crate) struct Pace {
    clock: Arc<dyn Clock>,
    state: Mutex<Beat>,
}

#[derive(Debug, Clone, Copy)]
struct Beat {
    /// When the last checkpoint was taken, or the fit began.
    taken: Micros,
    /// When the last round ended.
    round: Micros,
    /// How long the last round took that did not follow a checkpoint.
    usual: Micros,
    /// What going on after the last checkpoint cost.
    cost: Micros,
    /// The next round follows a checkpoint.
    fresh: bool,
}

impl Pace {
    /// Begins now.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        Self { clock, state: Mutex::new(Beat { taken: now, round: now, usual: 0, cost: 0, fresh: false }) }
    }

    /// A round has ended: whether it is time for a checkpoint.
    pub(crate) fn round(&self) -> bool {
        let now = self.clock.now();
        let mut beat = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lasted = now.saturating_sub(beat.round);
        if beat.fresh {
            beat.cost = lasted.saturating_sub(beat.usual).max(0);
        } else {
            beat.usual = lasted;
        }
        beat.fresh = false;
        beat.round = now;
        now.saturating_sub(beat.taken) >= LEAST.max(beat.cost.saturating_mul(SHARE))
    }

    /// A checkpoint was taken.
    pub(crate) fn taken(&self) {
        let now = self.clock.now();
        let mut beat = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *beat = Beat { taken: now, round: now, fresh: true, ..*beat };
    }
}

/// Stores checkpoints as they come, the latest of those that wait, until the fit has let go of its end. A
/// checkpoint that cannot be stored costs nothing but the work it would have saved.
pub(crate) async fn store(
    attempt: &Attempt,
    store: &AttemptStore,
    inputs: &Inputs,
    mut taken: watch::Receiver<Option<Vec<u8>>>,
) {
    while taken.changed().await.is_ok() {
        let Some(bytes) = taken.borrow_and_update().clone() else { continue };
        if let Err(error) = put(attempt, store, inputs, bytes).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a checkpoint was not stored");
        }
    }
}

async fn put(attempt: &Attempt, store: &AttemptStore, inputs: &Inputs, bytes: Vec<u8>) -> Result<(), JobError> {
    let from = [inputs.transform, inputs.train, inputs.validation];
    let made = store.put(attempt, ArtifactKind::Checkpoint, from, [(PART, bytes)]).await?;
    attempt.keep(made.digest).await.map_err(unkept)
}

fn unkept(error: LedgerError) -> JobError {
    JobError::transient("CHECKPOINT", error.to_string()).code(error.code()).caused_by(error)
}

/// What an earlier attempt has left, if this one can go on from it: the same logic on the same class of
/// CPU, for any other would mix two ways of rounding in one model.
pub(crate) async fn earlier(attempt: &Attempt, store: &AttemptStore) -> Option<Bytes> {
    let digest = attempt.checkpoint()?;
    match read(store, &ArtifactRef { kind: ArtifactKind::Checkpoint, digest }).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a checkpoint cannot be read, the trial begins anew"
            );
            None
        }
    }
}

async fn read(store: &AttemptStore, checkpoint: &ArtifactRef) -> Result<Option<Bytes>, JobError> {
    let artifact = store.open(checkpoint).await?;
    if artifact.manifest().producer() != store.producer() {
        tracing::info!("the checkpoint is of another version or class of CPU: the trial begins anew");
        return Ok(None);
    }
    store.read(checkpoint, PART).await.map(Some)
}

#[cfg(test)]
mod tests {
    use gristmill_types::ManualClock;

    use super::*;

    #[test]
    fn going_on_costs_a_twentieth_at_most() {
        let clock = Arc::new(ManualClock::at(0));
        let pace = Pace::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let after = |micros: i64| {
            clock.advance(micros);
            pace.round()
        };
        assert!(!after(400_000));
        assert!(!after(400_000));
        assert!(after(400_000), "a second is worth keeping");
        pace.taken();
        // The round after it took 200 ms longer than usual: the next checkpoint is four seconds off.
        assert!(!after(600_000));
        let rounds = (0..).position(|_| after(400_000)).unwrap();
        assert_eq!(rounds, 8);
    }
}
