//! Lineage: what an artifact was made from, and which versions were made from it.

use std::collections::{BTreeSet, VecDeque};

use gristmill_runtime::values;
use gristmill_store::StoreError;
use gristmill_types::{ArtifactRef, Digest, Name, Project};

use crate::version::Version;
use crate::{Registry, RegistryError};

/// Most artifacts of one lineage.
const MAX_NODES: usize = 10_000;
/// Versions answered for one ancestor.
const MAX_VERSIONS: u32 = 500;

const DESCENDANTS: &str = "select name, version from {s}ancestor where project = $1 and digest = $2
    order by name, version desc limit $3";

/// One artifact and what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageNode {
    /// The artifact.
    pub artifact: ArtifactRef,
    /// The stage that wrote it; empty if its manifest is gone.
    pub stage: String,
    /// What it was made from.
    pub inputs: Vec<ArtifactRef>,
    /// Its manifest was collected: nothing is known of what it was made from.
    pub lost: bool,
}

/// Both directions of an artifact's lineage.
#[derive(Debug, Clone, PartialEq)]
pub struct Lineage {
    /// The artifact, then every ancestor once, nearest first.
    pub ancestors: Vec<LineageNode>,
    /// Versions whose model is the artifact or was made from it.
    pub versions: Vec<Version>,
}

impl Registry {
    /// Answers what an artifact was made from, and the registered versions that were made from it.
    ///
    /// # Errors
    /// [`RegistryError::Artifact`] if the artifact itself is not there or damaged,
    /// [`RegistryError::LineageTooLong`].
    pub async fn lineage(&self, project: &Project, artifact: ArtifactRef) -> Result<Lineage, RegistryError> {
        self.artifacts(project)
            .open(&artifact)
            .await
            .map_err(|source| RegistryError::Artifact { field: "artifact".into(), source })?;
        let ancestors = self.ancestors(project, artifact).await?;
        let asked = values![project, artifact.digest, MAX_VERSIONS];
        let mut versions = Vec::new();
        for row in &self.inner.database.fetch(&self.sql(DESCENDANTS), asked).await? {
            let (name, version): (Name, u32) = (row.get("name")?, row.get("version")?);
            versions.push(self.version(project, &name, version).await?);
        }
        Ok(Lineage { ancestors, versions })
    }

    /// The artifact and everything that it was made from, breadth first. What is the same on every walk
    /// comes in the same order: a manifest's inputs are sorted.
    pub(crate) async fn ancestors(
        &self,
        project: &Project,
        artifact: ArtifactRef,
    ) -> Result<Vec<LineageNode>, RegistryError> {
        let store = self.artifacts(project);
        let mut seen: BTreeSet<Digest> = BTreeSet::from([artifact.digest]);
        let mut open = VecDeque::from([artifact]);
        let mut nodes = Vec::new();
        while let Some(artifact) = open.pop_front() {
            let node = match store.open(&artifact).await {
                Ok(found) => LineageNode {
                    artifact,
                    stage: found.manifest().producer().stage.to_string(),
                    inputs: found.manifest().inputs().to_vec(),
                    lost: false,
                },
                Err(StoreError::NotFound { .. }) => {
                    LineageNode { artifact, stage: String::new(), inputs: Vec::new(), lost: true }
                }
                Err(error) => return Err(error.into()),
            };
            open.extend(node.inputs.iter().filter(|input| seen.insert(input.digest)));
            nodes.push(node);
            if seen.len() > MAX_NODES {
                return Err(RegistryError::LineageTooLong(MAX_NODES));
            }
        }
        Ok(nodes)
    }
}
