//! The data directory and its lock: one process per directory.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::{Database, DatabaseError, Inner, sqlite};

/// Name of the lock file inside the directory.
const LOCK: &str = "lock";
/// More than this in the lock file was not written by us.
const LOCK_BYTES: u64 = 16 << 10;

/// Bytes that may still be written where `path` lies; none where the system does not say.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// A directory that this process alone may write, for as long as the value lives.
pub struct DataDir {
    path: PathBuf,
    lock: Mutex<File>,
    open: tokio::sync::Mutex<BTreeMap<String, Weak<Inner>>>,
}

/// Who holds a data directory, as it announced itself in the lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Where its gRPC services listen, such as `http://127.0.0.1:7700`; none while it starts or when
    /// it serves nothing.
    pub endpoint: Option<String>,
}

impl fmt::Debug for DataDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataDir").field("path", &self.path).finish_non_exhaustive()
    }
}

impl DataDir {
    /// Creates the directory if need be (readable by its owner only) and takes its lock.
    ///
    /// # Errors
    /// [`DatabaseError::Held`] when a live process has it, with that process's endpoint.
    pub fn open(path: &Path) -> Result<Arc<Self>, DatabaseError> {
        let refused = |source| DatabaseError::DataDir { source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(refused)?;
        let path = path.canonicalize().map_err(refused)?;
        let file = open_lock(&path).map_err(refused)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(DatabaseError::Held { holder: read_holder(file) });
        }
        let this = Self { path, lock: Mutex::new(file), open: tokio::sync::Mutex::default() };
        this.announce(None)?;
        Ok(Arc::new(this))
    }

    /// Who holds the directory now, or none if nobody does. Takes and gives back the lock to find out,
    /// so a stale file of a killed process counts for nothing.
    pub fn holder(path: &Path) -> Option<Holder> {
        let file = OpenOptions::new().read(true).open(path.join(LOCK)).ok()?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => None,
            Err(_) => read_holder(file),
        }
    }

    /// Writes into the lock file where this process serves, for other commands to find.
    ///
    /// # Errors
    /// [`DatabaseError::DataDir`] when the file cannot be written.
    pub fn announce(&self, endpoint: Option<&str>) -> Result<(), DatabaseError> {
        let holder = Holder { pid: std::process::id(), endpoint: endpoint.map(str::to_owned) };
        let refused = |source| DatabaseError::DataDir { source };
        let text = serde_json::to_vec(&holder).map_err(|error| refused(error.into()))?;
        let mut file = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(&text))
            .map_err(refused)
    }

    /// The directory, absolute and without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database `name` of this directory; everybody in the process gets the same handle.
    ///
    /// # Errors
    /// What the database says when it cannot be opened.
    pub async fn database(self: &Arc<Self>, name: &'static str) -> Result<Database, DatabaseError> {
        let mut open = self.open.lock().await;
        if let Some(inner) = open.get(name).and_then(Weak::upgrade) {
            return Ok(Database(inner));
        }
        let path = self.path.join(format!("{name}.db"));
        let inner = Arc::new(Inner::Sqlite(sqlite::open(&path, Arc::clone(self)).await?));
        open.insert(name.to_owned(), Arc::downgrade(&inner));
        Ok(Database(inner))
    }
}

fn open_lock(dir: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(dir.join(LOCK))
}

fn read_holder(file: File) -> Option<Holder> {
    let mut text = String::new();
    file.take(LOCK_BYTES).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}
