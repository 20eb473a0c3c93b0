//! A bounded folder of copies of remote parts, shared by the processes of a machine.

use std::fs::{File, Metadata, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use tempfile::NamedTempFile;

use crate::StoreError;
use crate::error::blocking;
use crate::key::Key;

const CACHING: &str = "caching a part";

/// Copies by project and digest.
///
/// A copy appears by a rename, so it is whole; who reads it holds a shared lock on it, and only a file
/// that can be locked alone is evicted, the longest unused first. It is trusted no more than the store:
/// whoever opens a copy verifies it.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
    capacity: u64,
}

impl Cache {
    pub(crate) fn open(folder: PathBuf, capacity: u64) -> Result<Self, StoreError> {
        let cache = Self { folder: folder.join("parts"), capacity };
        std::fs::create_dir_all(&cache.folder).map_err(StoreError::io("opening the cache folder"))?;
        Ok(cache)
    }

    /// The copy of an object, locked against eviction and marked as used.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<(PathBuf, File)>, StoreError> {
        let path = self.path(key);
        blocking(CACHING, move || Ok(open_locked(&path).map_err(StoreError::io(CACHING))?.map(|file| (path, file))))
            .await
    }

    /// Removes a copy.
    pub(crate) async fn forget(&self, key: &Key) -> Result<(), StoreError> {
        let path = self.path(key);
        blocking(CACHING, move || remove_if_there(&path).map_err(StoreError::io(CACHING))).await
    }

    /// Copies an object in and makes room by evicting others.
    pub(crate) async fn fill(
        &self,
        key: &Key,
        temp: NamedTempFile,
        mut pieces: BoxStream<'static, Result<Bytes, StoreError>>,
    ) -> Result<(PathBuf, File), StoreError> {
        let mut temp = temp;
        while let Some(piece) = pieces.try_next().await? {
            temp = blocking(CACHING, move || {
                temp.write_all(&piece).map_err(StoreError::io(CACHING))?;
                Ok(temp)
            })
            .await?;
        }
        let (cache, path) = (self.clone(), self.path(key));
        blocking(CACHING, move || {
            let kept = cache.keep(temp, &path).map_err(StoreError::io(CACHING))?;
            cache.evict().map_err(StoreError::io(CACHING))?;
            Ok((path, kept))
        })
        .await
    }

    fn keep(&self, temp: NamedTempFile, path: &Path) -> io::Result<File> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // Locked before it can be seen, so that it is not evicted before it is read. The lock belongs to
        // the open file and stays with it through the rename.
        let file = File::open(temp.path())?;
        file.lock_shared()?;
        temp.persist(path).map_err(|e| e.error)?;
        Ok(file)
    }

    fn path(&self, key: &Key) -> PathBuf {
        let digest = key.digest.to_string();
        self.folder.join(key.project.as_str()).join(digest.get(..2).unwrap_or_default()).join(digest)
    }

    fn evict(&self) -> io::Result<()> {
        let mut copies = Vec::new();
        walk(&self.folder, &mut copies)?;
        let mut used: u64 = copies.iter().map(|(_, metadata)| metadata.len()).sum();
        if used <= self.capacity {
            return Ok(());
        }
        copies.sort_by_cached_key(|(path, metadata)| {
            (metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), path.clone())
        });
        for (path, metadata) in copies {
            if used <= self.capacity {
                break;
            }
            let Some(file) = opened(&path)? else { continue };
            match file.try_lock() {
                Ok(()) => remove_if_there(&path)?,
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(e)) => return Err(e),
            }
            used -= metadata.len();
        }
        Ok(())
    }
}

fn open_locked(path: &Path) -> io::Result<Option<File>> {
    let Some(file) = opened(path)? else { return Ok(None) };
    file.lock_shared()?;
    // It may have been evicted, or replaced, between its opening and its locking.
    let still = std::fs::metadata(path).is_ok_and(|there| file.metadata().is_ok_and(|mine| mine.ino() == there.ino()));
    if !still {
        return Ok(None);
    }
    #[expect(clippy::disallowed_methods, reason = "the order of eviction, which reaches no result")]
    let now = SystemTime::now();
    // Marking the use may be denied on a shared cache; then the copy only looks older than it is.
    drop(file.set_modified(now));
    Ok(Some(file))
}

fn opened(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn walk(folder: &Path, copies: &mut Vec<(PathBuf, Metadata)>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // Another process may evict at the same time.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            walk(&entry.path(), copies)?;
        } else if metadata.is_file() {
            copies.push((entry.path(), metadata));
        }
    }
    Ok(())
}
