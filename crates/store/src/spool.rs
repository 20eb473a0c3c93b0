//! A folder of temporary files that dies with its process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::StoreError;

mod writer;

pub(crate) use writer::{SpoolWriter, Spooled};

/// One process's folder of unpublished files.
///
/// `<base>/<name>/` holds the files; `<base>/<name>.lock` is locked for as long as the process lives, so
/// that another process can tell a dead folder from a live one and clean it.
#[derive(Debug)]
pub(crate) struct Spool {
    base: PathBuf,
    name: String,
    /// Held, never read: the lock is the sign of life.
    _lock: File,
}

impl Spool {
    /// Opens a folder under `base` and removes those of dead processes.
    pub(crate) fn open(base: &Path) -> Result<Self, StoreError> {
        let failed = StoreError::io("opening the folder for temporary files");
        Self::try_open(base).map_err(failed)
    }

    fn try_open(base: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(base)?;
        clean(base)?;
        let pid = std::process::id();
        let mut number = 0_u64;
        loop {
            let name = format!("{pid}-{number}");
            if let Some(lock) = take_lock(&base.join(format!("{name}.lock")))? {
                std::fs::create_dir_all(base.join(&name))?;
                return Ok(Self { base: base.to_owned(), name, _lock: lock });
            }
            number += 1;
        }
    }

    /// Makes an empty file that is deleted unless it is published.
    pub(crate) fn file(&self) -> Result<NamedTempFile, StoreError> {
        NamedTempFile::with_prefix_in("part-", self.base.join(&self.name))
            .map_err(StoreError::io("making a temporary file"))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next process that opens the store.
        drop(std::fs::remove_dir_all(self.base.join(&self.name)));
        drop(std::fs::remove_file(self.base.join(format!("{}.lock", self.name))));
    }
}

/// Makes and locks a new file; `None` if the name is taken.
fn take_lock(path: &Path) -> io::Result<Option<File>> {
    let file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(e) => return Err(e),
    };
    file.lock()?;
    // A cleaner may have taken the file for a dead one between its making and its locking.
    let mine = file.metadata()?.ino();
    match std::fs::metadata(path) {
        Ok(there) if there.ino() == mine => Ok(Some(file)),
        _ => Ok(None),
    }
}

fn clean(base: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(base)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_suffix(".lock").unwrap_or(&name);
        let lock_path = base.join(format!("{owner}.lock"));
        let lock = match File::open(&lock_path) {
            Ok(file) => match file.try_lock() {
                Ok(()) => Some(file),
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(e)) => return Err(e),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        remove_if_there(std::fs::remove_dir_all(base.join(owner)))?;
        remove_if_there(std::fs::remove_file(&lock_path))?;
        drop(lock);
    }
    Ok(())
}

fn remove_if_there(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_dead_are_cleaned_and_of_the_living_kept() {
        let base = tempfile::tempdir().unwrap();
        let dead = base.path().join("1-0");
        std::fs::create_dir_all(&dead).unwrap();
        std::fs::write(dead.join("part-x"), b"half a part").unwrap();
        std::fs::write(base.path().join("1-0.lock"), b"").unwrap();
        std::fs::create_dir_all(base.path().join("2-0")).unwrap();

        let first = Spool::open(base.path()).unwrap();
        let file = first.file().unwrap();
        let second = Spool::open(base.path()).unwrap();

        assert!(!dead.exists() && !base.path().join("1-0.lock").exists() && !base.path().join("2-0").exists());
        assert!(file.path().exists(), "a live process keeps its files");
        assert_ne!(first.name, second.name);
        drop(second);
        drop(file);
        drop(first);
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
    }
}
