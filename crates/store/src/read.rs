//! Artifacts on their way out: no byte leaves unverified.

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use gristmill_types::{ArtifactRef, Digest};

use crate::error::{DamagedPart, Fault, blocking};
use crate::key::{Key, Room};
use crate::manifest::PartEntry;
use crate::map::Mapping;
use crate::project::ProjectStore;
use crate::{CHUNK_BYTES, Manifest, StoreError};

/// Chunks that are fetched and hashed ahead of the reader.
const CHUNKS_AHEAD: usize = 2;
/// How often a copy is made anew when it is damaged as soon as it is made.
const ROUNDS: usize = 3;
const READING: &str = "reading a part";

/// One artifact whose manifest was verified. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Artifact {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    project: ProjectStore,
    artifact: ArtifactRef,
    manifest: Manifest,
}

impl Artifact {
    pub(crate) fn new(project: ProjectStore, artifact: ArtifactRef, manifest: Manifest) -> Self {
        Self { inner: Arc::new(Inner { project, artifact, manifest }) }
    }

    /// Its name.
    pub fn artifact(&self) -> ArtifactRef {
        self.inner.artifact
    }

    /// What it is made of.
    pub fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    /// One of its parts.
    ///
    /// # Errors
    /// [`StoreError::NoSuchPart`] names those there are.
    pub fn part(&self, name: &str) -> Result<Part, StoreError> {
        match self.inner.manifest.part(name) {
            Some(entry) => Ok(Part { artifact: self.clone(), entry: entry.clone() }),
            None => Err(StoreError::NoSuchPart {
                artifact: self.inner.artifact,
                part: name.chars().take(80).collect(),
                available: self.inner.manifest.parts().iter().map(PartEntry::name).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// Reads every byte and compares it with what was written.
    ///
    /// # Errors
    /// [`StoreError::DataLoss`] names the first part that differs.
    pub async fn verify(&self) -> Result<(), StoreError> {
        for entry in self.inner.manifest.parts() {
            let part = Part { artifact: self.clone(), entry: entry.clone() };
            part.stream().try_for_each(|_| async { Ok(()) }).await?;
        }
        Ok(())
    }
}

/// One part of an artifact.
#[derive(Debug, Clone)]
pub struct Part {
    artifact: Artifact,
    entry: PartEntry,
}

/// A verified local file; a cached one stays in the cache for as long as this lives.
#[derive(Debug)]
pub struct LocalFile {
    path: PathBuf,
    /// Locked, so that no process evicts the file; none for a file of the store itself.
    _kept: Option<File>,
}

impl Deref for LocalFile {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for LocalFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl Part {
    /// Name, digest, size and chunks.
    pub fn entry(&self) -> &PartEntry {
        &self.entry
    }

    /// All bytes, verified. A map of a local file where there is one, so that holding them costs no
    /// memory of our own; clones share it.
    ///
    /// # Errors
    /// [`StoreError::DataLoss`] if they are not what was written.
    pub async fn bytes(&self) -> Result<Bytes, StoreError> {
        let store = &self.artifact.inner.project.store.inner;
        if self.entry.size == 0 {
            self.check_size().await?;
            return Ok(Bytes::new());
        }
        if let Some(mapping) = store.mapped.get(&self.key()) {
            return Ok(mapping.bytes());
        }
        if store.cache.is_some() && self.entry.size <= CHUNK_BYTES {
            // One request and no file is the cheapest way to a small part.
            let mut chunks = self.stream();
            return Ok(chunks.try_next().await?.unwrap_or_default());
        }
        let (_, mapping) = self.local().await?;
        store.mapped.put(self.key(), &mapping);
        Ok(mapping.bytes())
    }

    /// A local file with the verified bytes: the store's own file, or a copy in the disk cache. It must
    /// not be written to; it is verified at every call, because the caller reads it on its own.
    ///
    /// # Errors
    /// [`StoreError::DataLoss`] if the bytes are not what was written.
    pub async fn path(&self) -> Result<LocalFile, StoreError> {
        Ok(self.local().await?.0)
    }

    /// The bytes in order, each piece verified before it is handed out.
    pub fn stream(&self) -> BoxStream<'static, Result<Bytes, StoreError>> {
        self.stream_from(0)
    }

    /// As [`Self::stream`], from byte `offset` on; nothing if that is past the end. The chunk that holds
    /// it is read and verified whole.
    pub fn stream_from(&self, offset: u64) -> BoxStream<'static, Result<Bytes, StoreError>> {
        let first = offset / CHUNK_BYTES;
        let before = usize::try_from(offset % CHUNK_BYTES).unwrap_or(0);
        let chunks = self.entry.chunks.iter().copied().enumerate();
        let chunks: Vec<_> = chunks.skip(usize::try_from(first).unwrap_or(usize::MAX)).collect();
        if chunks.is_empty() {
            // Nothing to read, but it may be missing all the same.
            let part = self.clone();
            let checked = async move { part.check_size().await.map(|()| None) };
            return futures::stream::once(checked).try_filter_map(|nothing| async { Ok(nothing) }).boxed();
        }
        let part = self.clone();
        let reads = chunks.into_iter().map(move |(number, digest)| {
            let (part, number) = (part.clone(), number as u64);
            async move {
                let mut bytes = part.chunk(number, digest).await?;
                if number == first {
                    drop(bytes.split_to(before.min(bytes.len())));
                }
                Ok(bytes)
            }
        });
        futures::stream::iter(reads).buffered(CHUNKS_AHEAD).boxed()
    }

    fn key(&self) -> Key {
        self.artifact.inner.project.key(Room::Blob, self.entry.digest)
    }

    fn lost(&self, fault: Fault) -> StoreError {
        let part = DamagedPart::Part(self.entry.name.clone());
        StoreError::DataLoss { artifact: self.artifact.inner.artifact, part, fault }
    }

    async fn check_size(&self) -> Result<(), StoreError> {
        let meta = self.artifact.inner.project.store.inner.backend.head(&self.key()).await?;
        let meta = meta.ok_or_else(|| self.lost(Fault::Missing))?;
        if meta.size == self.entry.size {
            Ok(())
        } else {
            Err(self.lost(Fault::Size { expected: self.entry.size, found: meta.size }))
        }
    }

    async fn chunk(self, number: u64, digest: Digest) -> Result<Bytes, StoreError> {
        let start = number * CHUNK_BYTES;
        let end = self.entry.size.min(start + CHUNK_BYTES);
        let backend = &self.artifact.inner.project.store.inner.backend;
        let mut tried = 1;
        loop {
            let bytes = match backend.range(&self.key(), start..end).await {
                Ok((bytes, size)) if size == self.entry.size => bytes,
                Ok((_, found)) => return Err(self.lost(Fault::Size { expected: self.entry.size, found })),
                Err(e) => {
                    // It may be gone, or end before this chunk.
                    self.check_size().await?;
                    return Err(e);
                }
            };
            let length = bytes.len() as u64;
            let (bytes, found) = blocking(READING, move || {
                let found = Digest::of(&bytes);
                Ok((bytes, found))
            })
            .await?;
            if found == digest {
                return Ok(bytes);
            }
            // Bytes may have changed or been cut on their way; what is stored wrong comes wrong every time.
            if tried >= backend.patience.tries() {
                let cut = Fault::Size { expected: self.entry.size, found: start + length };
                let fault = if start + length < end { cut } else { Fault::Content { offset: start } };
                return Err(self.lost(fault));
            }
            tracing::warn!(digest = %self.entry.digest, start, tried, "a chunk arrived damaged, reading it again");
            backend.patience.wait(tried).await;
            tried += 1;
        }
    }

    /// A local file and a map of it, verified.
    async fn local(&self) -> Result<(LocalFile, Arc<Mapping>), StoreError> {
        let store = &self.artifact.inner.project.store.inner;
        let Some(cache) = &store.cache else {
            let path = store.backend.file_of(&self.key())?.ok_or(StoreError::Thread(READING))?;
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(self.lost(Fault::Missing)),
                Err(e) => return Err(StoreError::io(READING)(e)),
            };
            let mapping = self.verified(file).await?.1.map_err(|fault| self.lost(fault))?;
            return Ok((LocalFile { path, _kept: None }, mapping));
        };
        // Another process may evict or damage the copy between any two steps; after a few rounds of that the
        // machine is at fault.
        let mut lost = None;
        for _ in 0..ROUNDS {
            let (path, file) = match cache.get(&self.key()).await? {
                Some(copy) => copy,
                None => cache.fill(&self.key(), store.spool.file()?, self.stream()).await?,
            };
            match self.verified(file).await? {
                (file, Ok(mapping)) => return Ok((LocalFile { path, _kept: Some(file) }, mapping)),
                (file, Err(fault)) => {
                    tracing::warn!(digest = %self.entry.digest, %fault, "cached copy is damaged, fetching it again");
                    cache.forget(&self.key(), file).await?;
                    lost = Some(self.lost(fault));
                }
            }
        }
        Err(lost.unwrap_or(StoreError::Thread(READING)))
    }

    /// A map of an open file, or how the file differs from what was written.
    async fn verified(&self, file: File) -> Result<(File, Result<Arc<Mapping>, Fault>), StoreError> {
        let entry = self.entry.clone();
        blocking(READING, move || {
            let found = file.metadata().map_err(StoreError::io(READING))?.len();
            if found != entry.size {
                return Ok((file, Err(Fault::Size { expected: entry.size, found })));
            }
            let mapping = Mapping::of(&file).map_err(StoreError::io(READING))?;
            Ok(match first_difference(&entry, mapping.as_ref()) {
                None => (file, Ok(Arc::new(mapping))),
                Some(offset) => (file, Err(Fault::Content { offset })),
            })
        })
        .await
    }
}

/// The start of the first chunk that is not what was written.
fn first_difference(entry: &PartEntry, bytes: &[u8]) -> Option<u64> {
    let chunk_bytes = usize::try_from(CHUNK_BYTES).unwrap_or(usize::MAX);
    let differs = bytes.chunks(chunk_bytes).zip(&entry.chunks).position(|(chunk, digest)| Digest::of(chunk) != *digest);
    differs.map(|number| number as u64 * CHUNK_BYTES)
}
