//! What can be said about the stage.

use gristmill_stage::serve::{self, Keys, Peers, Program};
use gristmill_stage::{Failure, Mounted, StageDeps};
use serde::{Deserialize, Serialize};

/// Settings of the stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreparationConfig {
    /// Jobs that one process does at a time.
    pub at_a_time: usize,
}

impl Default for PreparationConfig {
    fn default() -> Self {
        Self { at_a_time: 2 }
    }
}

impl Keys for PreparationConfig {
    const BINARY: &'static str = "gristmill-preparation";
    const ABOUT: &'static str = "A dataset and a recipe to train, validation and test rows and a fitted transform";
    const SECTION: &'static str = "preparation";
    const PORTS: Option<(u16, u16)> = Some(serve::PREPARATION.ports);

    fn in_engine_threads(work: &(dyn Fn() + Sync)) {
        gristmill_frame::in_engine_threads(work);
    }
}

impl Program for PreparationConfig {
    async fn open(&self, deps: &StageDeps, _: &Peers) -> Result<Mounted, Failure> {
        Ok(crate::stage::open_with(deps, self).await.map_err(Failure::failed)?.into())
    }
}
