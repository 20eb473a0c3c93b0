//! What can be said about the stage, and about workers elsewhere.

use std::ops::RangeInclusive;
use std::time::Duration;

use gristmill_runtime::slots::Slots;
use gristmill_stage::serve::{self, Keys, Peer, Peers, Program};
use gristmill_stage::{Failure, Mounted, StageDeps};
use serde::{Deserialize, Serialize};

use crate::Settings;
use crate::stage::LEASE;

/// A heartbeat of a remote worker comes every second; garbage is spared longer than any lease lasts.
const LEASES: RangeInclusive<u64> = 3..=300;

/// Settings of the stage as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Trials that this process does at a time; 0 leaves them to workers elsewhere, none is one per CPU slot.
    pub trials: Option<usize>,
    /// CPU slots, and with them threads, of one trial.
    pub trial_threads: usize,
    /// How long a trial stays with a worker that is not heard of, 3 to 300.
    pub lease_seconds: u64,
}

/// Settings of a worker elsewhere as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkConfig {
    /// CPU slots, and with them threads, of one trial.
    pub trial_threads: usize,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self { trials: None, trial_threads: 1, lease_seconds: LEASE.as_secs() }
    }
}

impl Default for WorkConfig {
    fn default() -> Self {
        Self { trial_threads: 1 }
    }
}

impl TrainingConfig {
    fn settings(&self, slots: &Slots) -> Result<Settings, Failure> {
        if !LEASES.contains(&self.lease_seconds) {
            let (least, most) = (LEASES.start(), LEASES.end());
            return Err(Failure::usage(format!("training.lease_seconds: between {least} and {most}")));
        }
        let trial_threads = self.trial_threads.max(1);
        let trial_workers = self.trials.unwrap_or((slots.total() / trial_threads).max(1));
        Ok(Settings { trial_workers, trial_threads, lease: Duration::from_secs(self.lease_seconds) })
    }
}

impl WorkConfig {
    /// As many trials at a time as the slots hold.
    pub(crate) fn settings(&self, slots: &Slots) -> Settings {
        let trial_threads = self.trial_threads.max(1);
        Settings::new((slots.total() / trial_threads).max(1), trial_threads)
    }
}

impl Keys for TrainingConfig {
    const BINARY: &'static str = "gristmill-training";
    const ABOUT: &'static str = "Prepared data and a study to a leaderboard and a model";
    const SECTION: &'static str = "training";
    const PORTS: Option<(u16, u16)> = Some(serve::TRAINING.ports);

    fn in_engine_threads(work: &(dyn Fn() + Sync)) {
        gristmill_frame::in_engine_threads(work);
    }
}

impl Program for TrainingConfig {
    async fn open(&self, deps: &StageDeps, _: &Peers) -> Result<Mounted, Failure> {
        let opened = crate::open_with(deps, self.settings(&deps.slots)?).await;
        Ok(opened.map_err(Failure::failed)?.into())
    }
}

impl Keys for WorkConfig {
    const BINARY: &'static str = TrainingConfig::BINARY;
    const ABOUT: &'static str = TrainingConfig::ABOUT;
    const SECTION: &'static str = "work";
    const FOLDER: &'static str = "training-work";
    const PORTS: Option<(u16, u16)> = None;
    const PEERS: &'static [Peer] = &[serve::TRAINING];

    fn in_engine_threads(work: &(dyn Fn() + Sync)) {
        TrainingConfig::in_engine_threads(work);
    }
}
