//! An attempt's way to artifacts.

use std::fmt;

use async_trait::async_trait;
use gristmill_jobs::{Attempt, JobError};
use gristmill_store::{Artifact, ArtifactWriter, Pin, PinRefused, Producer, ProjectStore, Store};
use gristmill_types::{ArtifactKind, ArtifactRef, Digest, Name};

use crate::{JobStage, job_error};

/// An attempt's lease as the store sees it: digests are pinned under its fence before their bytes can
/// be seen.
#[derive(Clone, Copy)]
pub struct AttemptPin<'a>(pub &'a Attempt);

impl fmt::Debug for AttemptPin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttemptPin")
    }
}

#[async_trait]
impl Pin for AttemptPin<'_> {
    async fn pin(&self, digests: &[Digest]) -> Result<(), PinRefused> {
        self.0.pin(digests).await.map_err(|error| PinRefused { code: error.code(), message: error.to_string() })
    }
}

/// The artifacts of an attempt's project.
#[derive(Debug, Clone)]
pub struct AttemptStore {
    project: ProjectStore,
    producer: Producer,
}

impl AttemptStore {
    /// The store for `attempt` of stage `S`, whose outputs' bytes depend on `cpu_class` (`any` if they
    /// do not).
    ///
    /// # Errors
    /// A defect of ours: a stage or CPU class that is no name.
    pub fn new<S: JobStage>(store: &Store, attempt: &Attempt, cpu_class: &str) -> Result<Self, JobError> {
        let name = |text: &str| Name::new(text).map_err(|error| JobError::internal(error.to_string()));
        let producer = Producer {
            stage: name(S::STAGE)?,
            logic_version: S::LOGIC_VERSION,
            spec_digest: Digest::of(attempt.payload()),
            cpu_class: name(cpu_class)?,
        };
        Ok(Self { project: store.project(attempt.project()), producer })
    }

    /// The project's store.
    pub fn project(&self) -> &ProjectStore {
        &self.project
    }

    /// What the manifests of the attempt's outputs say of who made them.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    /// Opens an input.
    ///
    /// # Errors
    /// As [`job_error`] turns the store's.
    pub async fn open(&self, artifact: &ArtifactRef) -> Result<Artifact, JobError> {
        self.project.open(artifact).await.map_err(job_error)
    }

    /// Reads one part of an input, verified.
    ///
    /// # Errors
    /// As [`job_error`] turns the store's.
    pub async fn read(&self, artifact: &ArtifactRef, part: &str) -> Result<bytes::Bytes, JobError> {
        self.open(artifact).await?.part(part).map_err(job_error)?.bytes().await.map_err(job_error)
    }

    /// Starts an output computed from `inputs`.
    pub fn write(&self, kind: ArtifactKind, inputs: impl IntoIterator<Item = ArtifactRef>) -> ArtifactWriter {
        self.project.write(kind, self.producer.clone(), inputs)
    }

    /// Writes an output of parts in memory, pinned by the attempt.
    ///
    /// # Errors
    /// As [`job_error`] turns the store's.
    pub async fn put(
        &self,
        attempt: &Attempt,
        kind: ArtifactKind,
        inputs: impl IntoIterator<Item = ArtifactRef>,
        parts: impl IntoIterator<Item = (&'static str, Vec<u8>)>,
    ) -> Result<ArtifactRef, JobError> {
        let mut writer = self.write(kind, inputs);
        for (name, bytes) in parts {
            writer.part_bytes(name, bytes).await.map_err(job_error)?;
        }
        writer.finish(&AttemptPin(attempt)).await.map_err(job_error)
    }
}
