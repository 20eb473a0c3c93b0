//! What the process knows of living attempts, and who is to be woken by a change.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use gristmill_types::{Fence, JobId, Micros};
use tokio::sync::watch;

use crate::{Lease, Progress};

/// Jobs share this many bells: a bell may ring for a neighbour, never be missed.
const BELLS: usize = 64;

/// Attempts that hold a lease, as far as this process has seen, and the bells.
#[derive(Debug)]
pub(super) struct Live {
    attempts: Mutex<BTreeMap<JobId, Held>>,
    jobs: Vec<watch::Sender<u64>>,
    queue: watch::Sender<u64>,
}

/// A held lease.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) fence: Fence,
    pub(super) cancel: bool,
    pub(super) progress: Option<Progress>,
    /// When the lease was last written to the table.
    pub(super) written_at: Micros,
}

/// What a committed transaction did to a job.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// It waits for a worker.
    Queued(JobId),
    /// An attempt holds it.
    Claimed(JobId, Held),
    /// Its attempt is to stop.
    CancelRequested(JobId),
    /// It has ended.
    Ended(JobId),
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            attempts: Mutex::default(),
            jobs: (0..BELLS).map(|_| watch::Sender::new(0)).collect(),
            queue: watch::Sender::new(0),
        }
    }

    fn attempts(&self) -> MutexGuard<'_, BTreeMap<JobId, Held>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of committed changes and rings.
    pub(super) fn apply(&self, changes: Vec<Change>) {
        for change in changes {
            let id = match change {
                Change::Queued(id) => {
                    self.attempts().remove(&id);
                    self.queue.send_modify(|count| *count += 1);
                    id
                }
                Change::Claimed(id, held) => {
                    self.attempts().insert(id, held);
                    id
                }
                Change::CancelRequested(id) => {
                    if let Some(held) = self.attempts().get_mut(&id) {
                        held.cancel = true;
                    }
                    id
                }
                Change::Ended(id) => {
                    self.attempts().remove(&id);
                    // A freed place in the queue or a fairer turn may let somebody go on.
                    self.queue.send_modify(|count| *count += 1);
                    id
                }
            };
            self.ring(id);
        }
    }

    /// The held lease of a job, if this process has seen the claim.
    pub(super) fn get(&self, id: JobId) -> Option<Held> {
        self.attempts().get(&id).cloned()
    }

    /// Keeps progress; answers whether anything is new.
    pub(super) fn beat(&self, lease: &Lease, progress: Option<Progress>, written_at: Option<Micros>) {
        let mut attempts = self.attempts();
        let Some(held) = attempts.get_mut(&lease.job).filter(|held| held.fence == lease.fence) else { return };
        if let Some(at) = written_at {
            held.written_at = at;
        }
        if progress.is_some() && held.progress != progress {
            held.progress = progress;
            drop(attempts);
            self.ring(lease.job);
        }
    }

    /// A bell that rings after every change of the job.
    pub(super) fn bell(&self, id: JobId) -> watch::Receiver<u64> {
        self.sender(id).subscribe()
    }

    /// A bell that rings when there may be work.
    pub(super) fn queue(&self) -> watch::Receiver<u64> {
        self.queue.subscribe()
    }

    /// Waits until the attempt is to stop or holds the lease no longer.
    pub(super) async fn interrupted(&self, lease: &Lease) {
        let mut bell = self.bell(lease.job);
        loop {
            bell.mark_unchanged();
            match self.get(lease.job) {
                Some(held) if held.fence == lease.fence && !held.cancel => {}
                _ => return,
            }
            if bell.changed().await.is_err() {
                return;
            }
        }
    }

    fn sender(&self, id: JobId) -> &watch::Sender<u64> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % BELLS as u64).unwrap_or(0);
        // `at` is below the length, which is never 0.
        self.jobs.get(at).unwrap_or(&self.queue)
    }

    fn ring(&self, id: JobId) {
        self.sender(id).send_modify(|count| *count += 1);
    }
}
