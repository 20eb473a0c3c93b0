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
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub(super) fence: Fence,
    pub(super) cancel: bool,
    pub(super) progress: Option<Progress>,
    /// When the lease was last written to the table.
    pub(super) written_at: Micros,
}

/// What a committed transaction did to a job.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) job: JobId,
    /// The job's latest attempt.
    pub(super) fence: Fence,
    pub(super) what: What,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// It waits for a worker.
    Queued,
    /// An attempt holds it, here.
    Claimed(Held),
    /// An attempt holds it, in another process.
    ClaimedElsewhere,
    /// Its attempt is to stop.
    CancelRequested,
    /// It has ended.
    Ended,
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

    /// Takes note of committed changes and rings. News of other processes may come late: what they say
    /// of an earlier attempt does not touch a later one.
    pub(super) fn apply(&self, changes: Vec<Change>) {
        for Change { job, fence, what } in changes {
            let rings = matches!(what, What::Queued | What::Ended);
            let mut attempts = self.attempts();
            let held = attempts.get_mut(&job).filter(|held| held.fence <= fence);
            match (what, held) {
                (What::Claimed(held), _) => {
                    attempts.insert(job, held);
                }
                (What::CancelRequested, Some(held)) if held.fence == fence => held.cancel = true,
                (_, Some(_)) => {
                    attempts.remove(&job);
                }
                (_, None) => {}
            }
            drop(attempts);
            if rings {
                // Work, or a freed place in the queue, or a fairer turn may let somebody go on.
                self.ring_queue();
            }
            self.ring(job);
        }
    }

    /// Every lease that is held here.
    pub(super) fn held(&self) -> Vec<(JobId, Fence)> {
        self.attempts().iter().map(|(id, held)| (*id, held.fence)).collect()
    }

    /// Rings every bell: anything may have happened.
    pub(super) fn ring_all(&self) {
        self.ring_queue();
        self.jobs.iter().for_each(|bell| bell.send_modify(|count| *count += 1));
    }

    fn ring_queue(&self) {
        self.queue.send_modify(|count| *count += 1);
    }

    /// The held lease of a job, if it was claimed in this process.
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
