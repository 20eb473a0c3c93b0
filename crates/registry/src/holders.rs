//! Who is asked what it holds before artifacts are collected.

use std::sync::{Arc, OnceLock};

use gristmill_store::{Holder, RootProvider, Store, SweepReport};
use gristmill_types::Project;

use crate::RegistryError;

/// Every stage that names artifacts. They are opened one after the other, so the list is handed in when
/// all are there; until then nothing can be collected.
#[derive(Clone, Default)]
pub struct Holders(Arc<OnceLock<Vec<Arc<dyn RootProvider>>>>);

impl std::fmt::Debug for Holders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Option<Vec<&str>> = self.0.get().map(|all| all.iter().map(|one| one.name()).collect());
        f.debug_tuple("Holders").field(&names).finish()
    }
}

impl Holders {
    /// Hands in the complete list; answers whether it was the first. Whoever is missing from it loses
    /// what only it names.
    pub fn complete(&self, all: Vec<Arc<dyn RootProvider>>) -> bool {
        self.0.set(all).is_ok()
    }

    /// Sweeps `project`, if it is known who is to be asked, without the holders that are `gone` for good.
    ///
    /// # Errors
    /// [`RegistryError::HoldersUnknown`] before the list is complete, [`RegistryError::Store`].
    pub(crate) async fn sweep(
        &self,
        store: &Store,
        project: &Project,
        gone: &[Holder],
        dry_run: bool,
    ) -> Result<SweepReport, RegistryError> {
        let all = self.0.get().ok_or(RegistryError::HoldersUnknown)?;
        let all: Vec<&dyn RootProvider> = all.iter().map(AsRef::as_ref).collect();
        Ok(store.sweep_without(project, &all, gone, dry_run).await?)
    }
}
