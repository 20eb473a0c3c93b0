//! Workers of a process: claim when there is a free place, do, commit, drain.

mod once;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use gristmill_runtime::slots::Slots;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::attempt::Why;
use crate::work::Rows;
use crate::{Attempt, Cancel, Claim, CrashPlan, Leases, Work};

/// How long to look away after the ledger did not answer.
const OUTAGE: Duration = Duration::from_secs(1);
/// A worker looks for work at least so often, even if no bell rings.
const LOOK: Duration = Duration::from_secs(10);

/// Workers before they start.
pub struct Workers {
    name: String,
    slots: Slots,
    crash: CrashPlan,
    loops: Vec<Loop>,
}

type Loop = Box<dyn FnOnce(Shared) -> BoxFuture<'static, ()> + Send>;

/// What all loops of a process share.
#[derive(Clone)]
struct Shared {
    name: String,
    slots: Slots,
    crash: CrashPlan,
    /// No new job is claimed.
    stop: CancellationToken,
    /// Set when running attempts are to stop.
    drained: watch::Receiver<bool>,
    attempts: TaskTracker,
}

/// Workers that run; dropping them stops the claiming and tells the attempts to stop.
#[derive(Debug)]
pub struct Running {
    stop: CancellationToken,
    drained: watch::Sender<bool>,
    loops: TaskTracker,
    attempts: TaskTracker,
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("name", &self.name).field("kinds", &self.loops.len()).finish_non_exhaustive()
    }
}

impl Workers {
    /// Workers that take CPU slots from `slots`; `name` is for people.
    pub fn new(name: impl Into<String>, slots: Slots) -> Self {
        Self { name: name.into(), slots, crash: CrashPlan::none(), loops: Vec::new() }
    }

    /// Where a test kills the process.
    #[must_use]
    pub fn crash(self, crash: CrashPlan) -> Self {
        Self { crash, ..self }
    }

    /// Does jobs of `W::KIND`, at most `at_most` at a time.
    #[must_use]
    pub fn serve<W: Work>(mut self, leases: Arc<dyn Leases>, work: Arc<W>, at_most: usize) -> Self {
        self.loops.push(Box::new(move |shared| Box::pin(serve(shared, leases, work, at_most.max(1)))));
        self
    }

    /// Starts to claim.
    pub fn start(self) -> Running {
        let (drained, receiver) = watch::channel(false);
        let running = Running {
            stop: CancellationToken::new(),
            drained,
            loops: TaskTracker::new(),
            attempts: TaskTracker::new(),
        };
        for start in self.loops {
            running.loops.spawn(start(Shared {
                name: self.name.clone(),
                slots: self.slots.clone(),
                crash: self.crash.clone(),
                stop: running.stop.clone(),
                drained: receiver.clone(),
                attempts: running.attempts.clone(),
            }));
        }
        running.loops.close();
        running
    }
}

impl Running {
    /// Stops claiming, gives running attempts `grace` to finish, then tells them to stop and gives their
    /// jobs back; those attempts do not count. Returns when none is left.
    pub async fn drain(&self, grace: Duration) {
        self.stop.cancel();
        self.loops.wait().await;
        self.attempts.close();
        if tokio::time::timeout(grace, self.attempts.wait()).await.is_err() {
            self.drained.send_replace(true);
            self.attempts.wait().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        self.drained.send_replace(true);
    }
}

/// The claim loop of one kind.
async fn serve<W: Work>(shared: Shared, leases: Arc<dyn Leases>, work: Arc<W>, at_most: usize) {
    let places = Arc::new(Semaphore::new(at_most));
    let claim = Claim { worker: shared.name.clone(), kinds: vec![W::KIND.to_owned()], spec_version: W::SPEC_VERSION };
    let stop = shared.stop.clone();
    loop {
        let turn = stop.run_until_cancelled(turn(&shared, &leases, &work, &places, &claim)).await;
        match turn {
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::warn!(kind = W::KIND, error = &*error, "no work can be claimed, trying again");
                if stop.run_until_cancelled(tokio::time::sleep(OUTAGE)).await.is_none() {
                    return;
                }
            }
        }
    }
}

/// Waits until there may be a job, claims it and starts it. A free place and free slots come before the
/// claim: a claimed job starts at once, and an idle loop holds nothing that another kind needs.
async fn turn<W: Work>(
    shared: &Shared,
    leases: &Arc<dyn Leases>,
    work: &Arc<W>,
    places: &Arc<Semaphore>,
    claim: &Claim,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let place = Arc::clone(places).acquire_owned().await?;
    leases.work_available(claim, LOOK).await?;
    let slots = shared.slots.acquire(work.slots()).await?;
    let Some(leased) = leases.claim(claim).await? else { return Ok(()) };
    let span = tracing::info_span!("job", kind = W::KIND, id = %leased.lease.job, attempt = leased.lease.fence);
    let attempt = Attempt::new(leased, Arc::clone(leases), slots, shared.crash.clone());
    let (leases, work, drained) = (Arc::clone(leases), Arc::clone(work), shared.drained.clone());
    shared.attempts.spawn(
        async move {
            let watcher = stop_when_drained(attempt.cancel().clone(), drained);
            once::attempt(&*leases, &*work, &Rows(Arc::clone(&work)), attempt, watcher).await;
            drop(place);
        }
        .instrument(span),
    );
    Ok(())
}

async fn stop_when_drained(cancel: Cancel, mut drained: watch::Receiver<bool>) {
    // A closed channel means that `Running` is gone: drained as well.
    let _ = drained.wait_for(|drained| *drained).await;
    cancel.stop(Why::Drained);
}
