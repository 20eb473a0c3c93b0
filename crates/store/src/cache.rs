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
/// Rules that make it safe between processes, each of which may be killed at any moment:
///
/// - a copy appears by a rename of a complete file, and never in the place of another one;
/// - copies appear and go only under the lock of the whole cache, which is held for file names, not bytes;
/// - who reads a copy holds a shared lock on it, and only what can be locked alone is evicted, the longest
///   unused first; so a path stays what it is while it is held;
/// - a copy is trusted no more than the store: whoever opens one verifies it. Copies are not synced to the
///   disk, so after a power cut that is what finds the torn ones.
///
/// Room is made before a copy appears, so that copies never exceed the capacity but for those that are
/// held at that moment.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
    lock: PathBuf,
    capacity: u64,
}

impl Cache {
    pub(crate) fn open(folder: PathBuf, capacity: u64) -> Result<Self, StoreError> {
        let cache = Self { folder: folder.join("parts"), lock: folder.join("parts.lock"), capacity };
        std::fs::create_dir_all(&cache.folder).map_err(StoreError::io("opening the cache folder"))?;
        Ok(cache)
    }

    /// The copy of an object, locked against eviction and marked as used.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<(PathBuf, File)>, StoreError> {
        let path = self.path(key);
        blocking(CACHING, move || Ok(open_locked(&path).map_err(StoreError::io(CACHING))?.map(|file| (path, file))))
            .await
    }

    /// Removes a copy that is damaged, unless somebody has replaced it since it was opened.
    pub(crate) async fn forget(&self, key: &Key, damaged: File) -> Result<(), StoreError> {
        let (cache, path) = (self.clone(), self.path(key));
        blocking(CACHING, move || {
            let forgotten =
                cache.alone().and_then(|_alone| if is_at(&damaged, &path) { remove_if_there(&path) } else { Ok(()) });
            forgotten.map_err(StoreError::io(CACHING))
        })
        .await
    }

    /// Copies an object in, after evicting others to make room. If another process was faster, its copy is
    /// what comes back.
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
            Ok((path, kept))
        })
        .await
    }

    fn keep(&self, temp: NamedTempFile, path: &Path) -> io::Result<File> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let _alone = self.alone()?;
        if let Some(there) = open_locked(path)? {
            return Ok(there);
        }
        // Locked before it can be seen, so that it is not evicted before it is read. The lock belongs to
        // the open file and stays with it through the rename.
        let file = File::open(temp.path())?;
        file.lock_shared()?;
        self.make_room(file.metadata()?.len())?;
        temp.persist(path).map_err(|e| e.error)?;
        Ok(file)
    }

    /// Waits until no other thread or process changes which copies there are.
    fn alone(&self) -> io::Result<File> {
        let lock = File::options().write(true).create(true).truncate(false).open(&self.lock)?;
        lock.lock()?;
        Ok(lock)
    }

    fn path(&self, key: &Key) -> PathBuf {
        let digest = key.digest.to_string();
        self.folder.join(key.project.as_str()).join(digest.get(..2).unwrap_or_default()).join(digest)
    }

    /// Evicts until `more` bytes fit, or only held copies are left. The caller holds the cache's lock.
    fn make_room(&self, more: u64) -> io::Result<()> {
        let mut copies = Vec::new();
        walk(&self.folder, &mut copies)?;
        let mut used = copies.iter().fold(more, |sum, (_, metadata)| sum.saturating_add(metadata.len()));
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
            used = used.saturating_sub(metadata.len());
        }
        Ok(())
    }
}

fn open_locked(path: &Path) -> io::Result<Option<File>> {
    let Some(file) = opened(path)? else { return Ok(None) };
    file.lock_shared()?;
    // It may have been evicted, or replaced, between its opening and its locking.
    if !is_at(&file, path) {
        return Ok(None);
    }
    #[expect(clippy::disallowed_methods, reason = "the order of eviction, which reaches no result")]
    let now = SystemTime::now();
    // Marking the use may be denied on a shared cache; then the copy only looks older than it is.
    drop(file.set_modified(now));
    Ok(Some(file))
}

fn is_at(file: &File, path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|there| file.metadata().is_ok_and(|mine| mine.ino() == there.ino()))
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
