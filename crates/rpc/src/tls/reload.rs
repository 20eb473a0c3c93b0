//! Something made from files, made again when the files change.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::time::Instant;

/// How often the files are looked at, when they are used at all.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What tells one content of a file from another without reading it. A mounted secret is replaced by
/// another file, so its inode changes even where the time does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<Option<(SystemTime, u64, u64)>>);

impl Stamp {
    /// Of `files` as they are now; a missing file is a content too.
    pub(crate) fn of<P: AsRef<Path>>(files: &[P]) -> Self {
        Self(files.iter().map(|file| one(file.as_ref())).collect())
    }
}

fn one(file: &Path) -> Option<(SystemTime, u64, u64)> {
    let found = std::fs::metadata(file).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&found);
    #[cfg(not(unix))]
    let inode = 0;
    Some((found.modified().ok()?, found.len(), inode))
}

type Load<T, E> = Box<dyn Fn() -> Result<T, E> + Send + Sync>;

/// A value of type `T` and the files it comes from. What is broken on the way is logged, and the last
/// good value stays.
pub(crate) struct Reloading<T, E> {
    files: Vec<PathBuf>,
    load: Load<T, E>,
    current: ArcSwap<T>,
    seen: Mutex<(Stamp, Instant)>,
}

impl<T: fmt::Debug, E> fmt::Debug for Reloading<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading").field("files", &self.files).finish_non_exhaustive()
    }
}

impl<T, E: fmt::Display> Reloading<T, E> {
    /// Loads it for the first time.
    ///
    /// # Errors
    /// What `load` says.
    pub(crate) fn open(
        files: Vec<PathBuf>,
        load: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // Taken before the read: a change in between is seen at the next look.
        let stamp = Stamp::of(&files);
        let current = ArcSwap::from_pointee(load()?);
        Ok(Self { files, load: Box::new(load), current, seen: Mutex::new((stamp, Instant::now())) })
    }

    /// The value as the files say now, give or take a second.
    pub(crate) fn get(&self) -> Arc<T> {
        self.look(LOOK_EVERY);
        self.current.load_full()
    }

    /// The value as of the last look, for those who look themselves.
    pub(crate) fn get_now(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Looks at the files unless that was done less than `every` ago. Whether there is a new value.
    pub(crate) fn look(&self, every: Duration) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.1.elapsed() < every {
            return false;
        }
        seen.1 = Instant::now();
        let stamp = Stamp::of(&self.files);
        if stamp == seen.0 {
            return false;
        }
        seen.0 = stamp;
        match (self.load)() {
            Ok(value) => {
                self.current.store(Arc::new(value));
                tracing::info!(files = ?self.files, "files read again after a change");
                true
            }
            Err(error) => {
                tracing::error!(%error, "changed files cannot be used, the last good ones stay");
                false
            }
        }
    }
}
