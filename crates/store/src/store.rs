//! The store: a backend, its temporary files, its cache and its clock.

use std::path::PathBuf;
use std::sync::Arc;

use gristmill_types::{Clock, Project};
use object_store::ObjectStore;

use crate::backend::Backend;
use crate::cache::Cache;
use crate::error::blocking;
use crate::gate::Gate;
use crate::key::Key;
use crate::mapped::Mapped;
use crate::project::ProjectStore;
use crate::settings::Bounds;
use crate::spool::Spool;
use crate::time::StoreTime;
use crate::{StoreConfig, StoreError};

/// Artifacts of all projects. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) backend: Backend,
    /// Parts on their way in (and, for a remote store, into the cache).
    pub(crate) spool: Spool,
    /// Local copies of remote parts; a folder needs none.
    pub(crate) cache: Option<Cache>,
    /// Verified maps that are alive.
    pub(crate) mapped: Mapped,
    pub(crate) gate: Gate,
    pub(crate) bounds: Bounds,
    /// Tells how old an object is.
    pub(crate) time: StoreTime,
}

impl Store {
    /// Opens the store that `config` names; makes its folder if need be and removes temporary files of
    /// dead processes. A bucket is listed, written and read to see whether that is possible.
    ///
    /// # Errors
    /// [`StoreError::Settings`] on impossible settings, [`StoreError::Unusable`] says what is not so with a
    /// bucket, [`StoreError::Io`] if a folder cannot be used, [`StoreError::Symlink`] if the store's folder
    /// holds links.
    pub async fn open(config: &StoreConfig, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let bounds = config.check()?;
        Self::build(Backend::open(config).await?, bounds, config.cache_dir.clone(), clock).await
    }

    /// Opens a store on an object store that somebody else made; of `config.remote` only the timeout and
    /// the tries matter then.
    ///
    /// # Errors
    /// As [`Self::open`]; `config.url` stands only in messages.
    pub async fn on(
        objects: Arc<dyn ObjectStore>,
        config: &StoreConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let bounds = config.check()?;
        Self::build(Backend::on(objects, config).await?, bounds, config.cache_dir.clone(), clock).await
    }

    async fn build(
        backend: Backend,
        bounds: Bounds,
        cache_dir: PathBuf,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let gate = Gate::new(backend.root.as_ref().map(|root| root.join(".lock")));
        // Parts are linked from the spool into a folder store, so both lie on one file system.
        let root = backend.root.clone();
        let spool_dir = root.as_ref().map_or_else(|| cache_dir.join("spool"), |root| root.join(".spool"));
        let (spool, cache) = blocking("opening the store", move || {
            let spool = Spool::open(&spool_dir)?;
            let cache = if root.is_some() { None } else { Some(Cache::open(cache_dir, bounds.cache_bytes)?) };
            Ok((spool, cache))
        })
        .await?;
        let time = StoreTime::new(clock, bounds.grace);
        let inner = Inner { backend, spool, cache, mapped: Mapped::default(), gate, bounds, time };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The artifacts of one project.
    pub fn project(&self, project: &Project) -> ProjectStore {
        ProjectStore { store: self.clone(), project: project.clone() }
    }

    /// The projects that have artifacts.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the store does not answer.
    pub async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        let folders = self.inner.backend.folders(&Key::projects()).await?;
        let names = folders.iter().filter_map(|prefix| prefix.filename()?.parse().ok());
        let mut projects: Vec<Project> = names.collect();
        projects.sort();
        Ok(projects)
    }

    /// Bytes of all objects of a project, and how many there are.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the store does not answer.
    pub async fn usage(&self, project: &Project) -> Result<Usage, StoreError> {
        let mut usage = Usage::default();
        for room in [crate::key::Room::Blob, crate::key::Room::Manifest] {
            for meta in self.inner.backend.list(&Key::room(project, room)).await? {
                usage.objects += 1;
                usage.bytes += meta.size;
            }
        }
        Ok(usage)
    }
}

/// How much a project holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Manifests and parts.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}
