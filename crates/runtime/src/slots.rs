//! CPU slots of the process: how many threads a piece of work may use.
//!
//! One set of slots per process, as many as CPUs: every stage takes from it before it claims a job,
//! so that polars, rayon and tokio pools never multiply. A lease of n slots comes with a rayon pool
//! of exactly n threads; pools are kept and handed on, because starting threads per trial costs more
//! than a small trial.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Idle pools, by thread count.
type Idle = Mutex<BTreeMap<usize, Vec<ThreadPool>>>;

/// The CPU slots of a process; clones share them.
#[derive(Clone)]
pub struct Slots {
    free: Arc<Semaphore>,
    total: usize,
    idle: Arc<Idle>,
    granted: Arc<AtomicU64>,
}

/// The right to keep some CPUs busy; given back when dropped.
pub struct SlotLease {
    threads: usize,
    pool: Option<ThreadPool>,
    idle: Arc<Idle>,
    _permit: OwnedSemaphorePermit,
}

/// Threads of a pool could not be started.
#[derive(Debug, thiserror::Error)]
#[error("no {threads} worker threads can be started: the limit of threads or memory is reached")]
pub struct SlotError {
    threads: usize,
    source: rayon::ThreadPoolBuildError,
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("total", &self.total)
            .field("free", &self.free.available_permits())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SlotLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotLease").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl Slots {
    /// A process with `total` slots.
    pub fn new(total: NonZeroUsize) -> Self {
        let total = total.get();
        Self { free: Arc::new(Semaphore::new(total)), total, idle: Arc::default(), granted: Arc::default() }
    }

    /// One slot per CPU that this process may use (cgroup limits included).
    pub fn detected() -> Self {
        Self::new(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// All slots, taken or free.
    pub const fn total(&self) -> usize {
        self.total
    }

    /// How many leases were ever given.
    pub fn granted(&self) -> u64 {
        self.granted.load(Ordering::Relaxed)
    }

    /// Whether no work holds a slot now.
    pub fn all_free(&self) -> bool {
        self.free.available_permits() == self.total
    }

    /// Runs `work` once on every thread of the pools that no lease holds. Blocks: call it on a blocking thread.
    pub fn in_idle_pools(&self, work: impl Fn() + Sync) {
        for pool in self.idle.lock().unwrap_or_else(PoisonError::into_inner).values().flatten() {
            pool.broadcast(|_| work());
        }
    }

    /// Waits for `wanted` slots; more than there are means all, zero takes none (work that only waits
    /// for others). Waiters are served in order, so a big one is not starved by small ones.
    ///
    /// # Errors
    /// [`SlotError`] when the threads cannot be started.
    pub async fn acquire(&self, wanted: usize) -> Result<SlotLease, SlotError> {
        let threads = wanted.min(self.total);
        let count = u32::try_from(threads).unwrap_or(u32::MAX);
        #[expect(clippy::expect_used, reason = "this semaphore is never closed")]
        let permit = Arc::clone(&self.free).acquire_many_owned(count).await.expect("open semaphore");
        self.granted.fetch_add(1, Ordering::Relaxed);
        let pool = if threads == 0 { None } else { Some(self.pool(threads)?) };
        Ok(SlotLease { threads, pool, idle: Arc::clone(&self.idle), _permit: permit })
    }

    fn pool(&self, threads: usize) -> Result<ThreadPool, SlotError> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&threads).and_then(Vec::pop);
        match kept {
            Some(pool) => Ok(pool),
            None => ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(move |n| format!("slot-{threads}-{n}"))
                .build()
                .map_err(|source| SlotError { threads, source }),
        }
    }
}

impl SlotLease {
    /// How many threads the work may keep busy; 0 for work that only waits.
    pub const fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` in the pool of this lease, and answers with it the CPU time that the pool's threads
    /// and, without a pool, the calling thread spent. Blocks: call it on a blocking thread.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> (T, Duration) {
        match &self.pool {
            Some(pool) => {
                let before = pool_time(pool);
                let answer = pool.install(work);
                (answer, pool_time(pool).saturating_sub(before))
            }
            None => {
                let before = thread_time();
                let answer = work();
                (answer, thread_time().saturating_sub(before))
            }
        }
    }
}

impl Drop for SlotLease {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.entry(self.threads).or_default().push(pool);
        }
    }
}

fn pool_time(pool: &ThreadPool) -> Duration {
    pool.broadcast(|_| thread_time()).into_iter().sum()
}

/// CPU time of the calling thread, from the scheduler's own account (the first number is nanoseconds on
/// a CPU); zero where the system keeps none.
fn thread_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_ascii_whitespace().next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::num::NonZeroUsize;
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::Slots;

    /// Polls once; true if the future is not ready.
    fn pending_once(future: impl Future) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    fn slots(total: usize) -> Slots {
        Slots::new(NonZeroUsize::new(total).unwrap())
    }

    #[tokio::test]
    async fn no_more_than_all_are_taken() {
        let slots = slots(3);
        let two = slots.acquire(2).await.unwrap();
        assert_eq!(two.threads(), 2);
        assert!(pending_once(slots.acquire(2)), "one is left");
        let none = slots.acquire(0).await.unwrap();
        assert_eq!(none.threads(), 0, "work that waits takes nothing");
        drop(two);
        let all = slots.acquire(99).await.unwrap();
        assert_eq!(all.threads(), 3, "more than there are means all");
    }

    #[tokio::test]
    async fn pools_are_of_the_declared_size_and_their_time_is_counted() {
        let slots = slots(4);
        let lease = slots.acquire(2).await.unwrap();
        let (threads, _) = lease.run(rayon::current_num_threads);
        assert_eq!(threads, 2);
        let spin = || {
            let start = std::time::Instant::now();
            let mut sum = 0_u64;
            while start.elapsed() < Duration::from_millis(60) {
                sum = std::hint::black_box(sum.wrapping_add(1));
            }
            sum
        };
        let (_, cpu) = lease.run(|| rayon::join(spin, spin));
        assert!(cpu >= Duration::from_millis(20), "{cpu:?}");
        let idle = slots.acquire(0).await.unwrap();
        assert_eq!(idle.run(|| 7).0, 7);
    }
}
