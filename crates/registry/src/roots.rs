//! What versions keep from garbage collection.

use async_trait::async_trait;
use gristmill_runtime::values;
use gristmill_store::{RootProvider, Roots};
use gristmill_types::Project;

use crate::rows::{self, select_version};
use crate::{Registry, RegistryError};

const ALL: &str = select_version!("where project = $1");

/// Every version's model, evaluation and splits are roots: a version is kept whole for as long as its row.
#[async_trait]
impl RootProvider for Registry {
    fn name(&self) -> &str {
        "registry"
    }

    async fn roots(&self, project: &Project) -> Result<Roots, String> {
        self.held(project).await.map_err(|error| error.to_string())
    }
}

impl Registry {
    async fn held(&self, project: &Project) -> Result<Roots, RegistryError> {
        let mut roots = Roots::default();
        for row in &self.inner.database.fetch(&self.sql(ALL), values![project]).await? {
            let version = rows::version(row)?;
            roots.artifacts.push(version.model.digest);
            roots.artifacts.extend(version.evaluation.iter().chain(&version.seen).map(|artifact| artifact.digest));
        }
        roots.artifacts.sort();
        roots.artifacts.dedup();
        Ok(roots)
    }
}
