//! Artifacts made from rows in memory.

use gristmill_store::{Producer, ProjectStore, Unpinned};
use gristmill_types::{ArtifactKind, ArtifactRef, Digest, Name};

/// A producer record for artifacts that a test makes.
pub fn producer(stage: &str) -> Producer {
    Producer {
        stage: Name::new(stage).unwrap(),
        logic_version: 1,
        spec_digest: Digest::of(stage.as_bytes()),
        cpu_class: Name::new("any").unwrap(),
    }
}

/// Writes an artifact of named parts.
pub async fn put(
    store: &ProjectStore,
    kind: ArtifactKind,
    inputs: impl IntoIterator<Item = ArtifactRef>,
    parts: impl IntoIterator<Item = (&str, Vec<u8>)>,
) -> ArtifactRef {
    let mut writer = store.write(kind, producer("test"), inputs);
    for (name, bytes) in parts {
        writer.part_bytes(name, bytes).await.unwrap();
    }
    writer.finish(&Unpinned).await.unwrap()
}

impl crate::Sandbox {
    /// Writes a dataset artifact of the default project: `parquet` are its rows, `facts` its
    /// `dataset.json`. (Takes bytes, so that only tests with rows build polars.)
    pub async fn dataset(&self, parquet: Vec<u8>, facts: &serde_json::Value) -> ArtifactRef {
        let parts = [("rows.parquet", parquet), ("dataset.json", serde_json::to_vec(facts).unwrap())];
        put(&self.store(), ArtifactKind::Dataset, [], parts).await
    }
}
