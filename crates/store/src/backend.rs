//! The object store underneath, and what a local folder offers beyond it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::error::blocking;
use crate::key::Key;
use crate::{Location, StoreError};

/// Objects by key.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    /// The store; S3, GCS and Azure differ from memory only here.
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// The folder, if objects are plain files of this machine: they are linked in and mapped in place.
    pub(crate) root: Option<PathBuf>,
}

impl Backend {
    pub(crate) async fn open(location: &Location) -> Result<Self, StoreError> {
        match location {
            Location::Memory => Ok(Self { objects: Arc::new(InMemory::new()), root: None }),
            Location::Local(folder) => {
                let folder = folder.clone();
                blocking("opening the store's folder", move || Self::open_folder(folder)).await
            }
        }
    }

    fn open_folder(folder: PathBuf) -> Result<Self, StoreError> {
        std::fs::create_dir_all(&folder).map_err(StoreError::io("making the store's folder"))?;
        let root = folder.canonicalize().map_err(StoreError::io("opening the store's folder"))?;
        let objects = LocalFileSystem::new_with_prefix(&root)
            .map_err(StoreError::backend("opening the store's folder"))?
            // Without it a committed row may name a file of zeros after a power cut.
            .with_fsync(true);
        let backend = Self { objects: Arc::new(objects), root: Some(root) };
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
        self.refuse_links(&key.path())?;
        match self.objects.head(&key.path()).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(StoreError::backend("looking at a stored object")(e)),
        }
    }

    pub(crate) async fn range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.refuse_links(&key.path())?;
        self.objects.get_range(&key.path(), range).await.map_err(StoreError::backend("reading a stored object"))
    }

    pub(crate) async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.refuse_links(&key.path())?;
        match self.objects.delete(&key.path()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(StoreError::backend("deleting a stored object")(e)),
        }
    }

    pub(crate) fn list(&self, prefix: &Path) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
        self.objects.list(Some(prefix)).map(|item| item.map_err(StoreError::backend("listing stored objects"))).boxed()
    }
}
