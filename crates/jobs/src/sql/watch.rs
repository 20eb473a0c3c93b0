//! Following a job.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use gristmill_types::{JobId, Project};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::Inner;
use crate::{Event, LedgerError, Progress, WatchItem};

/// Events read at once.
const PAGE: u32 = 100;
/// Progress of one job is passed on at most this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// One open watch: reads when it is polled, and holds one page at most.
struct Watch {
    ledger: Arc<Inner>,
    id: JobId,
    sequence: i64,
    page: VecDeque<Event>,
    progress: Option<Progress>,
    passed_on: Option<Instant>,
    bell: watch::Receiver<u64>,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn start(
    ledger: &Arc<Inner>,
    project: &Project,
    id: JobId,
    after: i64,
) -> Result<BoxStream<'static, Result<WatchItem, LedgerError>>, LedgerError> {
    let limit = ledger.options.max_watches;
    let place = Arc::clone(&ledger.watches).try_acquire_owned().map_err(|_| LedgerError::TooManyWatches { limit })?;
    let job = ledger.get(project, id).await?;
    let watch = Watch {
        bell: ledger.live.bell(id),
        ledger: Arc::clone(ledger),
        id,
        sequence: after.max(0),
        page: VecDeque::new(),
        progress: None,
        passed_on: None,
        // Whoever has seen the last event of an ended job waits for nothing.
        ended: job.state.is_terminal() && after >= job.sequence,
        _place: place,
    };
    Ok(stream::try_unfold(watch, next).boxed())
}

async fn next(mut watch: Watch) -> Result<Option<(WatchItem, Watch)>, LedgerError> {
    loop {
        if watch.ended {
            return Ok(None);
        }
        // Marked before reading: a change during the reading rings again.
        watch.bell.mark_unchanged();
        if watch.page.is_empty() {
            watch.page = watch.ledger.events_of(watch.id, watch.sequence, PAGE).await?.into();
        }
        if let Some(event) = watch.page.pop_front() {
            watch.sequence = event.sequence;
            watch.ended = event.state.is_terminal();
            return Ok(Some((WatchItem::Event(event), watch)));
        }
        match watch.progress_due() {
            None => {
                if watch.bell.changed().await.is_err() {
                    return Ok(None);
                }
            }
            // A burst of progress is coalesced; an event in the meantime goes first.
            Some(wait) if !wait.is_zero() => {
                let _ = tokio::time::timeout(wait, watch.bell.changed()).await;
            }
            Some(_) => {
                if let Some(item) = watch.take_progress() {
                    return Ok(Some((item, watch)));
                }
            }
        }
    }
}

impl Watch {
    fn current(&self) -> Option<Progress> {
        self.ledger.live.get(self.id).and_then(|held| held.progress)
    }

    /// How long to hold back the progress that has not been passed on; none if there is none.
    fn progress_due(&self) -> Option<Duration> {
        let current = self.current();
        if current.is_none() || current == self.progress {
            return None;
        }
        Some(self.passed_on.map_or(Duration::ZERO, |at| PROGRESS_EVERY.saturating_sub(at.elapsed())))
    }

    fn take_progress(&mut self) -> Option<WatchItem> {
        let progress = self.current()?;
        self.progress = Some(progress.clone());
        self.passed_on = Some(Instant::now());
        Some(WatchItem::Progress { sequence: self.sequence, at: self.ledger.now(), progress })
    }
}
