//! What can be said about the stage.

use gristmill_stage::serve::{self, Keys, Peers, Program};
use gristmill_stage::{Failure, Mounted, StageDeps};
use serde::{Deserialize, Serialize};

/// Settings of the stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MonitoringConfig {
    /// Jobs that one process does at a time.
    pub at_a_time: usize,
}

impl Default for MonitoringConfig {
    fn default() -> Self {
        Self { at_a_time: 2 }
    }
}

impl Keys for MonitoringConfig {
    const BINARY: &'static str = "gristmill-monitoring";
    const ABOUT: &'static str = "Live rows and the training rows to drift, quality and alerts";
    const SECTION: &'static str = "monitoring";
    const PORTS: Option<(u16, u16)> = Some(serve::MONITORING.ports);

    fn in_engine_threads(work: &(dyn Fn() + Sync)) {
        gristmill_frame::in_engine_threads(work);
    }
}

impl Program for MonitoringConfig {
    async fn open(&self, deps: &StageDeps, _: &Peers) -> Result<Mounted, Failure> {
        Ok(crate::stage::open_with(deps, self).await.map_err(Failure::failed)?.into())
    }
}
