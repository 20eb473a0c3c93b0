//! What a ledger keeps from garbage collection.

use std::sync::Arc;

use async_trait::async_trait;
use gristmill_jobs::Ledger;
use gristmill_store::{RootProvider, Roots};
use gristmill_types::Project;

/// A ledger's jobs and living attempts. Its answer spans projects, which only keeps more.
#[derive(Debug)]
pub(super) struct LedgerRoots(Arc<dyn Ledger>);

impl LedgerRoots {
    pub(super) fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self(ledger)
    }
}

#[async_trait]
impl RootProvider for LedgerRoots {
    fn name(&self) -> &str {
        "job ledger"
    }

    async fn roots(&self, _project: &Project) -> Result<Roots, String> {
        // Pins, since a living attempt's digests may have no bytes yet; a manifest among them keeps
        // everything it was made from.
        let pins = self.0.roots().await.map_err(|error| error.to_string())?;
        Ok(Roots { artifacts: Vec::new(), pins })
    }
}
