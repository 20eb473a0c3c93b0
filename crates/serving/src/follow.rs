//! Follows the registry's aliases: a move is a load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use gristmill_proto::registry::{AliasMove, WatchModelAliasesRequest};
use gristmill_runtime::Shutdown;
use gristmill_types::Project;

use crate::ServingError;
use crate::models::Models;
use crate::tables::{Follows, Wanted};

/// First wait after the registry was not reached.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// Longest wait after the registry was not reached.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// How long a version that could not be loaded is left alone.
const RETRY: Duration = Duration::from_secs(30);

/// Keeps the models of one project where the registry's aliases stand, until the process ends.
pub(crate) struct Follower {
    models: Arc<Models>,
    project: Project,
    /// Alias under which every model of the project is served.
    alias: Option<String>,
    /// Names whose load failed, to be tried again.
    failed: BTreeMap<String, Wanted>,
}

impl Follower {
    pub(crate) fn new(models: Arc<Models>, project: Project, alias: Option<String>) -> Self {
        Self { models, project, alias, failed: BTreeMap::new() }
    }

    /// Runs until the process ends.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        let requested = shutdown.requested();
        tokio::pin!(requested);
        tokio::select! {
            () = &mut requested => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&mut self) {
        let mut wait = FIRST_WAIT;
        loop {
            match self.watch(&mut wait).await {
                Ok(()) => tracing::debug!(project = %self.project, "registry closed its stream, asking again"),
                Err(error) => tracing::debug!(project = %self.project, %error, "registry not reached, trying again"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LAST_WAIT);
        }
    }

    /// Loads what is wanted, then goes along with every move until the stream ends.
    async fn watch(&mut self, wait: &mut Duration) -> Result<(), ServingError> {
        let request = WatchModelAliasesRequest { project: self.project.as_str().into(), after_sequence: 0 };
        let mut moves = self.models.registry().watch_model_aliases(request).await?.into_inner();
        *wait = FIRST_WAIT;
        for wanted in self.wanted().await? {
            self.deploy(wanted).await;
        }
        loop {
            tokio::select! {
                item = moves.next() => match item {
                    None => return Ok(()),
                    Some(item) => if let Some(moved) = item?.r#move {
                        self.moved(&moved).await?;
                    },
                },
                () = tokio::time::sleep(RETRY), if !self.failed.is_empty() => {
                    for wanted in std::mem::take(&mut self.failed).into_values() {
                        self.deploy(wanted).await;
                    }
                }
            }
        }
    }

    /// Deployments of this project that somebody asked for.
    async fn wanted(&self) -> Result<Vec<Wanted>, ServingError> {
        let wanted = self.models.tables().wanted().await?;
        Ok(wanted.into_iter().filter(|wanted| wanted.project == self.project).collect())
    }

    async fn moved(&mut self, moved: &AliasMove) -> Result<(), ServingError> {
        let wanted = self.wanted().await?.into_iter().find(|wanted| wanted.name == moved.name);
        // What somebody asked for comes before what is served by itself.
        let follows = match wanted {
            Some(wanted) => wanted.follows,
            None => match &self.alias {
                Some(alias) => Follows::Alias(alias.clone()),
                None => return Ok(()),
            },
        };
        if follows != Follows::Alias(moved.alias.clone()) {
            return Ok(());
        }
        if moved.to_version == 0 {
            self.failed.remove(&moved.name);
            self.models.undeploy(&self.project, &moved.name).await;
            tracing::info!(project = %self.project, model = moved.name, alias = moved.alias, "alias removed, model unloaded");
            return Ok(());
        }
        self.deploy(Wanted { project: self.project.clone(), name: moved.name.clone(), follows }).await;
        Ok(())
    }

    async fn deploy(&mut self, wanted: Wanted) {
        self.failed.remove(&wanted.name);
        // The failure is logged, counted and shown by the entry.
        if self.models.deploy(&wanted, None).await.is_err() {
            self.failed.insert(wanted.name.clone(), wanted);
        }
    }
}
