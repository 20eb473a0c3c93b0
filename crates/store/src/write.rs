//! Artifacts on their way in.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use gristmill_types::{ArtifactKind, ArtifactRef, Digest};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::{Fault, blocking};
use crate::key::Room;
use crate::manifest::{PartEntry, check_part_name};
use crate::project::ProjectStore;
use crate::spool::{SpoolWriter, Spooled};
use crate::{Manifest, Pin, Producer, StoreError};

const WRITING: &str = "writing a part";
/// Parts published at once; more would only queue at the disk.
const PARTS_AHEAD: usize = 4;
/// Pieces of a streamed part that wait for the disk.
const PIECES_AHEAD: usize = 8;

/// Collects the parts of a new artifact. Dropping it leaves nothing behind.
pub struct ArtifactWriter {
    project: ProjectStore,
    kind: ArtifactKind,
    producer: Producer,
    inputs: Vec<ArtifactRef>,
    parts: Vec<Spooled>,
}

impl ArtifactWriter {
    pub(crate) fn new(project: ProjectStore, kind: ArtifactKind, producer: Producer, inputs: Vec<ArtifactRef>) -> Self {
        Self { project, kind, producer, inputs, parts: Vec::new() }
    }

    /// Adds a part from memory.
    ///
    /// # Errors
    /// [`StoreError::PartName`], [`StoreError::DuplicatePart`], [`StoreError::DiskFull`], [`StoreError::Io`].
    pub async fn part_bytes(&mut self, name: &str, bytes: impl Into<Bytes>) -> Result<PartEntry, StoreError> {
        let bytes = bytes.into();
        self.spool(name, move |writer| writer.write_shared(bytes)).await
    }

    /// Adds a part from a plain file, which is copied and hashed in one reading.
    ///
    /// # Errors
    /// As [`Self::part_bytes`], and [`StoreError::NotAFile`].
    pub async fn part_file(&mut self, name: &str, path: impl AsRef<Path>) -> Result<PartEntry, StoreError> {
        let path = path.as_ref().to_owned();
        let part = name.to_owned();
        self.spool(name, move |writer| {
            let opening = StoreError::io("opening the source of a part");
            // Looked at before it is opened: opening a pipe would wait for its other end.
            if !std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
                return Err(StoreError::NotAFile(part));
            }
            writer.write_from(&mut std::fs::File::open(&path).map_err(opening)?)
        })
        .await
    }

    /// Adds a part that `fill` writes, on a blocking thread; it is hashed while it is written.
    ///
    /// # Errors
    /// As [`Self::part_bytes`]; what `fill` returns comes back as [`StoreError::Io`].
    pub async fn part_with<F>(&mut self, name: &str, fill: F) -> Result<PartEntry, StoreError>
    where
        F: FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    {
        self.spool(name, move |writer| fill(writer).map_err(StoreError::io(WRITING))).await
    }

    /// Opens a part that is pushed piece by piece; [`Self::part_done`] adds it.
    ///
    /// # Errors
    /// As [`Self::part_bytes`].
    pub fn part_sink(&self, name: &str) -> Result<PartSink, StoreError> {
        self.check_name(name)?;
        PartSink::open(&self.project, name)
    }

    /// Adds a pushed part.
    ///
    /// # Errors
    /// As [`Self::part_bytes`].
    pub async fn part_done(&mut self, sink: PartSink) -> Result<PartEntry, StoreError> {
        let spooled = sink.close().await?;
        self.check_name(&spooled.entry.name)?;
        Ok(self.keep(spooled))
    }

    /// Publishes the artifact: pins its digests, then shows its parts, then its manifest.
    ///
    /// Once this returns, every byte is durable. It exists for others once a database row names it (I7).
    ///
    /// # Errors
    /// [`StoreError::Pin`] if the lease is lost; [`StoreError::DiskFull`], [`StoreError::Backend`],
    /// [`StoreError::Io`]: then no manifest is visible, and parts that are wait for the sweep.
    pub async fn finish(self, pin: &dyn Pin) -> Result<ArtifactRef, StoreError> {
        let entries = self.parts.iter().map(|part| part.entry.clone()).collect();
        let manifest = Manifest::new(self.kind, self.producer, &self.inputs, entries)?;
        publish(&self.project, &manifest, self.parts, pin).await
    }

    async fn spool(
        &mut self,
        name: &str,
        fill: impl FnOnce(&mut SpoolWriter) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<PartEntry, StoreError> {
        self.check_name(name)?;
        let spooled = spool(&self.project, name, fill).await?;
        Ok(self.keep(spooled))
    }

    fn keep(&mut self, spooled: Spooled) -> PartEntry {
        let entry = spooled.entry.clone();
        self.parts.push(spooled);
        entry
    }

    fn check_name(&self, name: &str) -> Result<(), StoreError> {
        check_part_name(name)?;
        if self.parts.iter().any(|part| part.entry.name == name) {
            return Err(StoreError::DuplicatePart(name.to_owned()));
        }
        Ok(())
    }
}

impl fmt::Debug for ArtifactWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArtifactWriter").field("kind", &self.kind).field("parts", &self.parts.len()).finish()
    }
}

/// Collects the parts of an artifact whose manifest came first, each checked against it.
#[derive(Debug)]
pub struct ArtifactUpload {
    project: ProjectStore,
    manifest: Manifest,
    parts: Vec<Spooled>,
}

impl ArtifactUpload {
    pub(crate) fn new(project: ProjectStore, manifest: Manifest) -> Self {
        Self { project, manifest, parts: Vec::new() }
    }

    /// What is being uploaded.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Opens a part of the manifest; more bytes than it names are refused as they arrive.
    ///
    /// # Errors
    /// [`StoreError::Upload`] if the manifest has no such part, [`StoreError::DuplicatePart`].
    pub fn part_sink(&self, name: &str) -> Result<PartSink, StoreError> {
        let entry = self.expected(name)?;
        let mut sink = PartSink::open(&self.project, name)?;
        sink.room = Some(entry.size);
        Ok(sink)
    }

    /// Adds a pushed part after comparing it with the manifest.
    ///
    /// # Errors
    /// [`StoreError::Upload`] says how it differs.
    pub async fn part_done(&mut self, sink: PartSink) -> Result<(), StoreError> {
        let spooled = sink.close().await?;
        let expected = self.expected(&spooled.entry.name)?;
        if spooled.entry != *expected {
            let fault = if spooled.entry.size == expected.size {
                let differs = spooled.entry.chunks.iter().zip(&expected.chunks).position(|(a, b)| a != b);
                Fault::Content { offset: differs.unwrap_or(0) as u64 * crate::CHUNK_BYTES }
            } else {
                Fault::Size { expected: expected.size, found: spooled.entry.size }
            };
            return Err(StoreError::Upload { part: spooled.entry.name, fault });
        }
        self.parts.push(spooled);
        Ok(())
    }

    /// Publishes the artifact as [`ArtifactWriter::finish`] does.
    ///
    /// # Errors
    /// As there, and [`StoreError::Upload`] if a part did not come.
    pub async fn finish(self, pin: &dyn Pin) -> Result<ArtifactRef, StoreError> {
        for expected in self.manifest.parts() {
            if !self.parts.iter().any(|part| part.entry.name == expected.name) {
                return Err(StoreError::Upload { part: expected.name.clone(), fault: Fault::Missing });
            }
        }
        publish(&self.project, &self.manifest, self.parts, pin).await
    }

    fn expected(&self, name: &str) -> Result<&PartEntry, StoreError> {
        check_part_name(name)?;
        if self.parts.iter().any(|part| part.entry.name == name) {
            return Err(StoreError::DuplicatePart(name.to_owned()));
        }
        self.manifest.part(name).ok_or_else(|| {
            let fault = Fault::Unreadable("the manifest has no part of this name".into());
            StoreError::Upload { part: name.to_owned(), fault }
        })
    }
}

/// Takes the bytes of one part as they arrive. Dropping it leaves nothing behind.
#[derive(Debug)]
pub struct PartSink {
    name: String,
    pieces: mpsc::Sender<Bytes>,
    task: JoinHandle<Result<Spooled, StoreError>>,
    /// Bytes that may still come, if a manifest says so.
    room: Option<u64>,
}

impl PartSink {
    fn open(project: &ProjectStore, name: &str) -> Result<Self, StoreError> {
        let mut writer = SpoolWriter::new(project.store.inner.spool.file()?);
        let (pieces, mut incoming) = mpsc::channel::<Bytes>(PIECES_AHEAD);
        let part = name.to_owned();
        let task = tokio::task::spawn_blocking(move || {
            while let Some(piece) = incoming.blocking_recv() {
                writer.write_shared(piece)?;
            }
            writer.finish(part)
        });
        Ok(Self { name: name.to_owned(), pieces, task, room: None })
    }

    /// The part's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a piece; waits while the disk is behind.
    ///
    /// # Errors
    /// [`StoreError::Upload`] if more comes than the manifest says. If the disk failed, closing the part
    /// says why.
    pub async fn push(&mut self, piece: impl Into<Bytes>) -> Result<(), StoreError> {
        let piece = piece.into();
        if let Some(room) = &mut self.room {
            *room = room.checked_sub(piece.len() as u64).ok_or_else(|| StoreError::Upload {
                part: self.name.clone(),
                fault: Fault::Unreadable("more bytes came than its manifest says".into()),
            })?;
        }
        self.pieces.send(piece).await.map_err(|_| StoreError::Thread(WRITING))
    }

    async fn close(self) -> Result<Spooled, StoreError> {
        drop(self.pieces);
        self.task.await.map_err(|_| StoreError::Thread(WRITING))?
    }
}

async fn spool(
    project: &ProjectStore,
    name: &str,
    fill: impl FnOnce(&mut SpoolWriter) -> Result<(), StoreError> + Send + 'static,
) -> Result<Spooled, StoreError> {
    let inner = project.store.inner.clone();
    let name = name.to_owned();
    blocking(WRITING, move || {
        let mut writer = SpoolWriter::new(inner.spool.file()?);
        fill(&mut writer)?;
        writer.finish(name)
    })
    .await
}

/// Pins, then publishes the parts, then the manifest: whoever sees a manifest can read all of it.
async fn publish(
    project: &ProjectStore,
    manifest: &Manifest,
    parts: Vec<Spooled>,
    pin: &dyn Pin,
) -> Result<ArtifactRef, StoreError> {
    let bytes = manifest.to_bytes();
    let artifact = ArtifactRef { kind: manifest.kind(), digest: Digest::of(&bytes) };
    let mut digests: Vec<Digest> = parts.iter().map(|part| part.entry.digest).collect();
    digests.push(artifact.digest);
    digests.sort();
    digests.dedup();
    pin.pin(&digests).await?;

    let inner = &project.store.inner;
    let puts = parts.into_iter().map(|part| async move {
        let key = project.key(Room::Blob, part.entry.digest);
        inner.publish(&key, part).await
    });
    futures::stream::iter(puts).buffer_unordered(PARTS_AHEAD).try_collect::<()>().await?;
    let spooled = spool(project, "manifest", move |writer| writer.write_shared(bytes.into())).await?;
    inner.publish(&project.key(Room::Manifest, artifact.digest), spooled).await?;
    Ok(artifact)
}
