//! What the stage is told.

use std::sync::Arc;

use futures::FutureExt;
use gristmill_stage::serve::{self, Keys, Peer, Peers, Program};
use gristmill_stage::{Failure, Mounted, StageDeps};
use gristmill_types::{Name, Project};
use serde::{Deserialize, Serialize};

use crate::log::LogConfig;

/// Configuration of serving, as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServingConfig {
    /// Alias under which every model is served by itself; empty for none.
    pub alias: String,
    /// Projects whose models are served.
    pub projects: Vec<String>,
    /// The prediction log.
    pub log: LogConfig,
}

impl Default for ServingConfig {
    fn default() -> Self {
        let projects = vec![Project::default().as_str().to_owned()];
        Self { alias: "champion".into(), projects, log: LogConfig::default() }
    }
}

/// Checked configuration.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub alias: Option<String>,
    pub projects: Vec<Project>,
    pub log: LogConfig,
}

impl ServingConfig {
    pub(crate) fn check(&self) -> Result<Settings, String> {
        let alias = match self.alias.as_str() {
            "" => None,
            alias => Some(Name::new(alias).map_err(|error| format!("serving.alias: {error}"))?.as_str().to_owned()),
        };
        let projects = self.projects.iter().map(|text| Project::new(text.as_str()));
        let mut projects =
            projects.collect::<Result<Vec<_>, _>>().map_err(|error| format!("serving.projects: {error}"))?;
        projects.sort();
        projects.dedup();
        self.log.check().map_err(|error| format!("serving.{error}"))?;
        Ok(Settings { alias, projects, log: self.log.clone() })
    }
}

impl Keys for ServingConfig {
    const BINARY: &'static str = "gristmill-serving";
    const ABOUT: &'static str = "Online and batch predictions of registered models";
    const SECTION: &'static str = "serving";
    const PORTS: Option<(u16, u16)> = Some(serve::SERVING.ports);
    const PEERS: &'static [Peer] = &[serve::REGISTRY];

    fn in_engine_threads(work: &(dyn Fn() + Sync)) {
        gristmill_frame::in_engine_threads(work);
    }
}

impl Program for ServingConfig {
    async fn open(&self, deps: &StageDeps, peers: &Peers) -> Result<Mounted, Failure> {
        let opened = crate::open(deps, self, peers.channel(serve::REGISTRY)?).await;
        let (assembled, serving) = opened.map_err(Failure::failed)?;
        let logs = Arc::new(serving.roots());
        let last = async move { serving.finished().await }.boxed();
        let mut mounted = Mounted { last: vec![last], ..assembled.into() };
        mounted.roots.push(logs);
        Ok(mounted)
    }
}
