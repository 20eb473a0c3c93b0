//! The lease's promise that digests are kept before anybody can see them.

use async_trait::async_trait;
use gristmill_types::{Digest, ErrorCode};

use crate::StoreError;

/// Keeps digests from garbage collection between their publication and the commit that names them.
///
/// A job's lease implements it: the pin is recorded with the job and its fence, so that a worker whose
/// lease is lost cannot publish, and the pins of a dead attempt end with it.
#[async_trait]
pub trait Pin: Send + Sync {
    /// Makes the pins durable; once this returns, no sweep deletes these digests.
    ///
    /// # Errors
    /// [`PinRefused`] if the lease is lost or its ledger does not answer; then nothing is published.
    async fn pin(&self, digests: &[Digest]) -> Result<(), PinRefused>;
}

/// Why digests are not pinned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PinRefused {
    /// The class of the refusal.
    pub code: ErrorCode,
    /// What the lease said.
    pub message: String,
}

impl From<PinRefused> for StoreError {
    fn from(refused: PinRefused) -> Self {
        Self::Pin { code: refused.code, message: refused.message }
    }
}

/// Pins nothing: for commands and tests that run no collection beside them. The grace alone protects
/// what is written so.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unpinned;

#[async_trait]
impl Pin for Unpinned {
    async fn pin(&self, _digests: &[Digest]) -> Result<(), PinRefused> {
        Ok(())
    }
}
