//! What can be set about the stage.

use gristmill_stage::serve::{
    self, EVALUATION, INGESTION, Keys, PREPARATION, Peer, Peers, Program, REGISTRY, TRAINING,
};
use gristmill_stage::{Failure, Mounted, StageDeps};
use serde::{Deserialize, Serialize};

use crate::Channels;

/// Settings of the stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Runs that one process follows at a time; each only waits for other stages.
    pub runs_at_a_time: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { runs_at_a_time: 16 }
    }
}

impl Keys for Config {
    const BINARY: &'static str = "gristmill-pipeline";
    const ABOUT: &'static str = "Pipeline files to durable runs of the other stages";
    const SECTION: &'static str = "pipeline";
    const PORTS: Option<(u16, u16)> = Some(serve::PIPELINE.ports);
    const PEERS: &'static [Peer] = &[INGESTION, PREPARATION, TRAINING, EVALUATION, REGISTRY];
}

impl Program for Config {
    async fn open(&self, deps: &StageDeps, peers: &Peers) -> Result<Mounted, Failure> {
        let channels = Channels {
            ingestion: peers.channel(INGESTION)?,
            preparation: peers.channel(PREPARATION)?,
            training: peers.channel(TRAINING)?,
            evaluation: peers.channel(EVALUATION)?,
            registry: peers.channel(REGISTRY)?,
        };
        Ok(crate::open(deps, self, channels).await.map_err(Failure::failed)?.into())
    }
}
