//! The artifacts of one project.

use gristmill_types::{ArtifactKind, ArtifactRef, Digest, Project};

use crate::error::{DamagedPart, Fault};
use crate::key::{Key, Room};
use crate::manifest::MAX_MANIFEST_BYTES;
use crate::read::Artifact;
use crate::write::{ArtifactUpload, ArtifactWriter};
use crate::{Manifest, Producer, Store, StoreError};

/// Reads and writes artifacts of one project. Cheap to clone.
///
/// Blobs are not shared between projects: what one project wrote, another can neither read nor name.
#[derive(Debug, Clone)]
pub struct ProjectStore {
    pub(crate) store: Store,
    pub(crate) project: Project,
}

impl ProjectStore {
    /// The project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Starts an artifact; nothing is visible before [`ArtifactWriter::finish`].
    pub fn write(
        &self,
        kind: ArtifactKind,
        producer: Producer,
        inputs: impl IntoIterator<Item = ArtifactRef>,
    ) -> ArtifactWriter {
        ArtifactWriter::new(self.clone(), kind, producer, inputs.into_iter().collect())
    }

    /// Starts the upload of an artifact whose manifest is known: every part must be as it says.
    ///
    /// # Errors
    /// [`StoreError::Manifest`] if the bytes are not a manifest, [`StoreError::UnknownInput`] if an
    /// input is not in this project.
    pub async fn import(&self, manifest: &[u8]) -> Result<ArtifactUpload, StoreError> {
        let manifest = Manifest::from_bytes(manifest)?;
        for input in manifest.inputs() {
            if !self.exists(input).await? {
                return Err(StoreError::UnknownInput(*input));
            }
        }
        Ok(ArtifactUpload::new(self.clone(), manifest))
    }

    /// Opens an artifact; its manifest is read and verified, its parts are not yet.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::WrongKind`], [`StoreError::DataLoss`] if the manifest is
    /// not the one that was written.
    pub async fn open(&self, artifact: &ArtifactRef) -> Result<Artifact, StoreError> {
        let manifest = self.manifest(artifact).await?;
        if manifest.kind() != artifact.kind {
            return Err(StoreError::WrongKind { artifact: *artifact, found: manifest.kind() });
        }
        Ok(Artifact::new(self.clone(), *artifact, manifest))
    }

    /// Finds the kind of an artifact of which only the digest is known.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn find(&self, digest: Digest) -> Result<Artifact, StoreError> {
        // The kind is not known yet and stands only in messages.
        let asked = ArtifactRef { kind: ArtifactKind::Source, digest };
        let manifest = self.manifest(&asked).await?;
        let found = ArtifactRef { kind: manifest.kind(), digest };
        Ok(Artifact::new(self.clone(), found, manifest))
    }

    /// Whether the artifact's manifest is there (its parts are not looked at).
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the store does not answer.
    pub async fn exists(&self, artifact: &ArtifactRef) -> Result<bool, StoreError> {
        Ok(self.store.inner.backend.head(&self.key(Room::Manifest, artifact.digest)).await?.is_some())
    }

    /// Reads every byte of an artifact and compares it with what was written.
    ///
    /// # Errors
    /// [`StoreError::DataLoss`] names the first part that differs.
    pub async fn verify(&self, artifact: &ArtifactRef) -> Result<(), StoreError> {
        self.open(artifact).await?.verify().await
    }

    /// Digests of all artifacts, sorted.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the store does not answer.
    pub async fn list(&self) -> Result<Vec<Digest>, StoreError> {
        let objects = self.store.inner.backend.list(&Key::room(&self.project, Room::Manifest)).await?;
        let keys = objects.iter().filter_map(|meta| Key::parse(&meta.location));
        let mut digests: Vec<Digest> = keys.map(|key| key.digest).collect();
        digests.sort();
        Ok(digests)
    }

    pub(crate) fn key(&self, room: Room, digest: Digest) -> Key {
        Key::new(&self.project, room, digest)
    }

    async fn manifest(&self, artifact: &ArtifactRef) -> Result<Manifest, StoreError> {
        let backend = &self.store.inner.backend;
        let key = self.key(Room::Manifest, artifact.digest);
        let lost = |fault| Err(StoreError::DataLoss { artifact: *artifact, part: DamagedPart::Manifest, fault });
        let mut tried = 1;
        let bytes = loop {
            let Some((bytes, size)) = backend.whole(&key, MAX_MANIFEST_BYTES).await? else {
                return Err(StoreError::NotFound { project: self.project.clone(), artifact: *artifact });
            };
            if size == 0 || size > MAX_MANIFEST_BYTES {
                return lost(Fault::Unreadable(format!("it has {size} bytes")));
            }
            if Digest::of(&bytes) == artifact.digest {
                break bytes;
            }
            // Bytes may have changed on their way; what is stored wrong comes wrong every time.
            if tried >= backend.patience.tries() {
                return lost(Fault::Content { offset: 0 });
            }
            tracing::warn!(digest = %artifact.digest, tried, "a manifest arrived damaged, reading it again");
            backend.patience.wait(tried).await;
            tried += 1;
        };
        Manifest::from_bytes(&bytes).or_else(|e| lost(Fault::Unreadable(e.to_string())))
    }
}
