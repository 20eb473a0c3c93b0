//! The object store underneath, and what a local folder offers beyond it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};

use crate::error::blocking;
use crate::key::Key;
use crate::patience::Patience;
use crate::settings::Remote;
use crate::{Location, StoreConfig, StoreError};

mod check;
pub(crate) use check::store_time;
mod connect;

/// Objects by key.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    /// The store; S3, GCS and Azure differ from memory only here.
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// The folder, if objects are plain files of this machine: they are linked in and mapped in place.
    pub(crate) root: Option<PathBuf>,
    /// How long and how often it is asked.
    pub(crate) patience: Patience,
    /// Whether a put can be refused because the object exists.
    pub(crate) conditional: bool,
}

impl Backend {
    /// Opens what the configuration names, and makes sure that it can be used.
    pub(crate) async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        match &config.url {
            Location::Memory => Self::on(Arc::new(InMemory::new()), config).await,
            Location::Local(folder) => {
                let folder = folder.clone();
                remote(config).await?;
                blocking("opening the store's folder", move || Self::open_folder(folder)).await
            }
            Location::Bucket(bucket) => {
                let remote = remote(config).await?;
                let objects = connect::connect(bucket, &remote)?;
                let place = match &remote.endpoint {
                    Some(endpoint) => format!("{} at {endpoint}", config.url),
                    None => config.url.to_string(),
                };
                Self::checked(objects, &remote, &place).await
            }
        }
    }

    /// Takes an object store that somebody else opened.
    pub(crate) async fn on(objects: Arc<dyn ObjectStore>, config: &StoreConfig) -> Result<Self, StoreError> {
        let remote = remote(config).await?;
        Self::checked(objects, &remote, &config.url.to_string()).await
    }

    async fn checked(objects: Arc<dyn ObjectStore>, remote: &Remote, place: &str) -> Result<Self, StoreError> {
        let patience = Patience::of(remote);
        let mut backend = Self { objects, root: None, patience, conditional: true };
        backend.conditional = check::usable(&backend, place).await?;
        Ok(backend)
    }

    fn open_folder(folder: PathBuf) -> Result<Self, StoreError> {
        std::fs::create_dir_all(&folder).map_err(StoreError::io("making the store's folder"))?;
        let root = folder.canonicalize().map_err(StoreError::io("opening the store's folder"))?;
        let objects = LocalFileSystem::new_with_prefix(&root)
            .map_err(StoreError::backend("opening the store's folder"))?
            // Without it a committed row may name a file of zeros after a power cut.
            .with_fsync(true);
        let backend =
            Self { objects: Arc::new(objects), root: Some(root), patience: Patience::once(), conditional: true };
        backend.refuse_links(&Key::projects())?;
        Ok(backend)
    }

    /// The file of an object, after making sure that no link leads out of the folder.
    pub(crate) fn file_of(&self, key: &Key) -> Result<Option<PathBuf>, StoreError> {
        let path = key.path();
        self.refuse_links(&path)?;
        Ok(self.root.as_ref().map(|root| path.as_ref().split('/').fold(root.clone(), |at, part| at.join(part))))
    }

    /// Refuses symbolic links below the folder: the local backend would follow them, and delete through them.
    ///
    /// The folder belongs to the service's user; this guards against accidents, not against that user.
    pub(crate) fn refuse_links(&self, path: &Path) -> Result<(), StoreError> {
        let Some(root) = &self.root else { return Ok(()) };
        let mut at = root.clone();
        for segment in path.as_ref().split('/') {
            at.push(segment);
            match std::fs::symlink_metadata(&at) {
                Ok(metadata) if metadata.file_type().is_symlink() => return Err(StoreError::Symlink),
                Ok(_) => {}
                // What does not exist leads nowhere.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                Err(e) => return Err(StoreError::io("looking at a stored object")(e)),
            }
        }
        Ok(())
    }

    pub(crate) async fn head(&self, key: &Key) -> Result<Option<ObjectMeta>, StoreError> {
        const DOING: &str = "looking at a stored object";
        let path = key.path();
        self.refuse_links(&path)?;
        match self.patience.call(DOING, || self.objects.head(&path)).await {
            Ok(meta) => Ok(Some(meta)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(StoreError::backend(DOING)(e)),
        }
    }

    /// As many bytes as the range has, or fewer if the store insists on it, and how many the object has in
    /// all: one request tells both.
    pub(crate) async fn range(&self, key: &Key, range: Range<u64>) -> Result<(Bytes, u64), StoreError> {
        const DOING: &str = "reading a stored object";
        let path = key.path();
        self.refuse_links(&path)?;
        let read = || async {
            let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
            let found = self.objects.get_opts(&path, options).await?;
            let size = found.meta.size;
            Ok((found.bytes().await?, size))
        };
        self.patience.call(DOING, read).await.map_err(StoreError::backend(DOING))
    }

    /// All bytes of an object of at most `most`, and how many it has; none of them if they are more.
    pub(crate) async fn whole(&self, key: &Key, most: u64) -> Result<Option<(Bytes, u64)>, StoreError> {
        const DOING: &str = "reading a stored object";
        let path = key.path();
        self.refuse_links(&path)?;
        let read = || async {
            let found = self.objects.get(&path).await?;
            let size = found.meta.size;
            Ok((if size > most { Bytes::new() } else { found.bytes().await? }, size))
        };
        match self.patience.call(DOING, read).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(StoreError::backend(DOING)(e)),
        }
    }

    pub(crate) async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.delete_path(&key.path()).await
    }

    pub(crate) async fn delete_path(&self, path: &Path) -> Result<(), StoreError> {
        const DOING: &str = "deleting a stored object";
        self.refuse_links(path)?;
        match self.patience.call(DOING, || self.objects.delete(path)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(StoreError::backend(DOING)(e)),
        }
    }

    /// Writes a small object unless it is there. Whoever writes it writes the same bytes, so it does not
    /// matter who was first.
    pub(crate) async fn leave(&self, path: &Path, content: &'static [u8]) -> Result<(), StoreError> {
        const DOING: &str = "registering in the store";
        self.refuse_links(path)?;
        let write = || async {
            match self.objects.head(path).await {
                Err(Error::NotFound { .. }) => {
                    let payload = PutPayload::from_static(content);
                    self.objects.put(path, payload).await.map(drop)
                }
                there => there.map(drop),
            }
        };
        self.patience.call(DOING, write).await.map_err(StoreError::backend(DOING))
    }

    /// All objects below a prefix. A listing that breaks off is begun again: half of one would look like
    /// a store that lost the other half.
    pub(crate) async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, StoreError> {
        const DOING: &str = "listing stored objects";
        let all = || async {
            let mut found = Vec::new();
            let mut objects = self.objects.list(Some(prefix));
            // Bounded page by page: how many there are says nothing about how long it may take.
            while let Some(meta) = self.patience.limit(objects.try_next()).await? {
                found.push(meta);
            }
            Ok(found)
        };
        self.patience.call_unlimited(DOING, all).await.map_err(StoreError::backend(DOING))
    }

    /// The names directly below a prefix that hold objects.
    pub(crate) async fn folders(&self, prefix: &Path) -> Result<Vec<Path>, StoreError> {
        const DOING: &str = "listing projects";
        let listed = self.patience.call(DOING, || self.objects.list_with_delimiter(Some(prefix))).await;
        listed.map(|listed| listed.common_prefixes).map_err(StoreError::backend(DOING))
    }
}

/// Checks the remote part of a configuration; it reads files, so on a thread for that.
async fn remote(config: &StoreConfig) -> Result<Remote, StoreError> {
    let (remote, url) = (config.remote.clone(), config.url.clone());
    blocking("reading the store's settings", move || remote.check(&url)).await
}
