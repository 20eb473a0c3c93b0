//! What can be said about the stage.

use std::path::PathBuf;

use gristmill_frame::Bounds;
use gristmill_stage::serve::{self, Keys, Peers, Program};
use gristmill_stage::{Failure, Mounted, StageDeps};
use serde::{Deserialize, Serialize};

use crate::Settings;

/// Settings of the stage as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestionConfig {
    /// Folders below which `file:` sources may lie; none by default.
    pub roots: Vec<PathBuf>,
    /// Jobs that one process does at a time.
    pub at_a_time: usize,
    /// Where rows lie until they are stored; the system's folder for temporary files if none.
    pub scratch: Option<PathBuf>,
    /// What one integration may use.
    pub bounds: Bounds,
}

impl Default for IngestionConfig {
    fn default() -> Self {
        let Settings { roots, bounds, at_a_time, scratch, .. } = Settings::default();
        Self { roots, at_a_time, scratch, bounds }
    }
}

impl IngestionConfig {
    /// For a program whose `main` first calls `gristmill_frame::child::main_if_child`.
    fn settings(&self) -> Result<Settings, Failure> {
        if let Some(root) = self.roots.iter().find(|root| !root.is_absolute()) {
            return Err(Failure::usage(format!("ingestion.roots: `{}` is no absolute path", root.display())));
        }
        let Self { roots, at_a_time, scratch, bounds } = self.clone();
        Ok(Settings { roots, bounds, at_a_time, scratch, ..Settings::default() })
    }
}

impl Keys for IngestionConfig {
    const BINARY: &'static str = "gristmill-ingestion";
    const ABOUT: &'static str = "Sources to a dataset with schema, profile and anomalies";
    const SECTION: &'static str = "ingestion";
    const PORTS: Option<(u16, u16)> = Some(serve::INGESTION.ports);

    fn in_engine_threads(work: &(dyn Fn() + Sync)) {
        gristmill_frame::in_engine_threads(work);
    }
}

impl Program for IngestionConfig {
    async fn open(&self, deps: &StageDeps, _: &Peers) -> Result<Mounted, Failure> {
        Ok(crate::open_with(deps, self.settings()?).await.map_err(Failure::failed)?.into())
    }
}
