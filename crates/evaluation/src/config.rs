//! What can be said about the stage.

use gristmill_stage::serve::{self, Keys, Peers, Program};
use gristmill_stage::{Failure, Mounted, StageDeps};
use serde::{Deserialize, Serialize};

/// Settings of the stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Jobs that one process does at a time.
    pub at_a_time: usize,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self { at_a_time: 2 }
    }
}

impl Keys for EvaluationConfig {
    const BINARY: &'static str = "gristmill-evaluation";
    const ABOUT: &'static str = "A model, test rows, a gate and a champion to a report and a verdict";
    const SECTION: &'static str = "evaluation";
    const PORTS: Option<(u16, u16)> = Some(serve::EVALUATION.ports);

    fn in_engine_threads(work: &(dyn Fn() + Sync)) {
        gristmill_frame::in_engine_threads(work);
    }
}

impl Program for EvaluationConfig {
    async fn open(&self, deps: &StageDeps, _: &Peers) -> Result<Mounted, Failure> {
        Ok(crate::stage::open_with(deps, self).await.map_err(Failure::failed)?.into())
    }
}
