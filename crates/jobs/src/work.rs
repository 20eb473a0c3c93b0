//! What a stage implements to do jobs of one kind.

use std::future::Future;

use async_trait::async_trait;
use gristmill_runtime::database::Tx;
use gristmill_types::ArtifactRef;

use crate::{Attempt, Job, JobError};

/// One kind of work.
pub trait Work: Send + Sync + 'static {
    /// The job kind, such as `ingestion`.
    const KIND: &'static str;

    /// Newest payload version that it understands.
    const SPEC_VERSION: u32 = 1;

    /// CPU slots per attempt; 0 for work that only waits for other jobs.
    fn slots(&self) -> usize {
        1
    }

    /// Does one attempt. Dropped at an await point when the lease is lost, or some seconds after it was
    /// told to stop and did not.
    fn run(&self, attempt: Attempt) -> impl Future<Output = Result<Outcome, JobError>> + Send;

    /// Writes the stage's rows in the transaction that commits the job; nothing unless told. Runs where
    /// the ledger is, for remote workers too, so it works from the job and the outcome alone. May run
    /// again after a lost answer to a transaction that did not commit.
    fn rows(&self, tx: &mut Tx, done: Done<'_>) -> impl Future<Output = Result<(), JobError>> + Send {
        let _ = (tx, done);
        std::future::ready(Ok(()))
    }
}

/// What an attempt hands in to be committed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The stage's result message.
    pub result: Vec<u8>,
    /// Artifacts, in the stage's order; their bytes are in the store already.
    pub outputs: Vec<ArtifactRef>,
}

/// A job that is being committed.
#[derive(Debug, Clone, Copy)]
pub struct Done<'a> {
    /// The job, still running.
    pub job: &'a Job,
    /// The stage's result message.
    pub result: &'a [u8],
    /// Artifacts, in the stage's order.
    pub outputs: &'a [ArtifactRef],
}

/// [`Work::rows`] behind a pointer; use a [`Work`] wrapped in `Rows`, or `()` for none.
#[async_trait]
pub trait StageRows: Send + Sync {
    /// See [`Work::rows`].
    async fn write(&self, tx: &mut Tx, done: Done<'_>) -> Result<(), JobError>;
}

impl Outcome {
    /// An outcome without artifacts.
    pub fn new(result: Vec<u8>) -> Self {
        Self { result, outputs: Vec::new() }
    }

    /// Adds an artifact.
    #[must_use]
    pub fn output(mut self, artifact: ArtifactRef) -> Self {
        self.outputs.push(artifact);
        self
    }
}

#[async_trait]
impl StageRows for () {
    async fn write(&self, _: &mut Tx, _: Done<'_>) -> Result<(), JobError> {
        Ok(())
    }
}

/// The rows of a [`Work`].
pub(crate) struct Rows<W>(pub std::sync::Arc<W>);

#[async_trait]
impl<W: Work> StageRows for Rows<W> {
    async fn write(&self, tx: &mut Tx, done: Done<'_>) -> Result<(), JobError> {
        self.0.rows(tx, done).await
    }
}
