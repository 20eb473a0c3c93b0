//! Keeps a put and a sweep of the same object apart.

use std::fs::File;
use std::path::PathBuf;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::StoreError;
use crate::error::blocking;

/// A put looks at an object and then decides whether to write it; a sweep looks at its age and then
/// deletes it. Whoever comes second must see what the first did.
///
/// Within a process this is a lock; between processes on one folder a file lock. Between processes on a
/// remote store nothing can close the gap, so it is kept short and the writer looks again (see `publish`).
#[derive(Debug)]
pub(crate) struct Gate {
    here: RwLock<()>,
    file: Option<PathBuf>,
}

/// Held while looking and acting.
pub(crate) struct Held<'a> {
    _file: Option<File>,
    _here: Here<'a>,
}

enum Here<'a> {
    Shared { _guard: RwLockReadGuard<'a, ()> },
    Alone { _guard: RwLockWriteGuard<'a, ()> },
}

impl Gate {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self { here: RwLock::new(()), file }
    }

    /// For puts: many at once.
    pub(crate) async fn shared(&self) -> Result<Held<'_>, StoreError> {
        let guard = self.here.read().await;
        Ok(Held { _file: self.lock_file(File::lock_shared).await?, _here: Here::Shared { _guard: guard } })
    }

    /// For one deletion: nobody else.
    pub(crate) async fn alone(&self) -> Result<Held<'_>, StoreError> {
        let guard = self.here.write().await;
        Ok(Held { _file: self.lock_file(File::lock).await?, _here: Here::Alone { _guard: guard } })
    }

    async fn lock_file(&self, lock: fn(&File) -> std::io::Result<()>) -> Result<Option<File>, StoreError> {
        let Some(path) = self.file.clone() else { return Ok(None) };
        blocking("locking the store", move || {
            let failed = StoreError::io("locking the store");
            let open = File::options().write(true).create(true).truncate(false).open(path);
            open.and_then(|file| lock(&file).map(|()| Some(file))).map_err(failed)
        })
        .await
    }
}
