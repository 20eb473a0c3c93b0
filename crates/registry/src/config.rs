//! What the stage may be told.

use std::sync::Arc;

use gristmill_stage::serve::{self, Keys, Peer, Peers, Program};
use gristmill_stage::{Failure, Mounted, StageDeps, StageRoots};
use gristmill_store::RootProvider;
use serde::{Deserialize, Serialize};

use crate::RegistryError;

/// The stage's part of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryConfig {
    /// Most bytes of one uploaded file.
    pub max_upload_bytes: u64,
    /// Most open watches of alias moves.
    pub max_watches: usize,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { max_upload_bytes: 64 << 30, max_watches: 1_000 }
    }
}

/// A checked configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) max_upload_bytes: u64,
    pub(crate) max_watches: usize,
}

impl RegistryConfig {
    pub(crate) fn check(&self) -> Result<Settings, RegistryError> {
        if self.max_upload_bytes == 0 || self.max_watches == 0 {
            return Err(RegistryError::Config("max_upload_bytes and max_watches are at least 1".into()));
        }
        Ok(Settings { max_upload_bytes: self.max_upload_bytes, max_watches: self.max_watches })
    }
}

impl Keys for RegistryConfig {
    const BINARY: &'static str = "gristmill-registry";
    const ABOUT: &'static str = "Immutable versions of models, their aliases, and the artifact service";
    const SECTION: &'static str = "registry";
    const PORTS: Option<(u16, u16)> = Some(serve::REGISTRY.ports);
    const HOLDERS: &'static [Peer] = &[
        serve::INGESTION,
        serve::PREPARATION,
        serve::TRAINING,
        serve::EVALUATION,
        serve::SERVING,
        serve::MONITORING,
        serve::PIPELINE,
    ];
}

impl Program for RegistryConfig {
    async fn open(&self, deps: &StageDeps, peers: &Peers) -> Result<Mounted, Failure> {
        let opened = crate::open(deps, self).await.map_err(Failure::failed)?;
        let registry: Arc<dyn RootProvider> = Arc::new(opened.registry);
        let own = StageRoots::register(deps, Self::SECTION).await?.with([Arc::clone(&registry)]);
        let mut all = peers.holders(&deps.process.clock);
        all.push(Arc::new(own));
        opened.holders.complete(all);
        Ok(Mounted { roots: vec![registry], ..opened.services.into() })
    }
}
