//! What the processes that share a ledger tell each other.
//!
//! A committed transaction tells of every job that it changed. A process that may have missed something
//! (it just began to listen, or nothing arrives) looks at the tables, every second until it hears again.
//! The tables alone are the truth: news only make somebody look.

use std::sync::{Arc, Weak};
use std::time::Duration;

use gristmill_runtime::database::{Heard, Listener};
use gristmill_runtime::values;
use gristmill_types::{Fence, JobId, JobState};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Inner;
use super::live::{Change, What};
use crate::LedgerError;

/// How often to look at the tables while nothing can be heard.
const LOOK: Duration = Duration::from_secs(1);
/// How often to compare the clock with the database's.
const CLOCK: Duration = Duration::from_secs(15);
/// Changes told one by one; of more it is only said that there were many (a message has 8,000 bytes).
const MOST: usize = 150;
/// Says that there were many.
const MANY: &str = "*";

const HELD: &str = "select id, fence, state, cancel_requested from {s}job where id in (select e.value from {each:$1})";

/// A number that no other ledger has; nothing but the source of news is told by it.
pub(super) fn origin() -> u64 {
    StdRng::from_entropy().r#gen()
}

/// `ORIGIN q:ID:FENCE c:ID:FENCE …`: who tells it, then what became of which job.
pub(super) fn write(origin: u64, changes: &[Change]) -> String {
    if changes.len() > MOST {
        return format!("{origin:x} {MANY}");
    }
    changes.iter().fold(format!("{origin:x}"), |message, change| {
        let what = match change.what {
            What::Queued => 'q',
            What::Claimed(_) | What::ClaimedElsewhere => 'r',
            What::CancelRequested => 'c',
            What::Ended => 'e',
        };
        format!("{message} {what}:{}:{}", change.job, change.fence)
    })
}

/// What others did; nothing if we did it ourselves. None when it cannot be told what was done: look.
pub(super) fn read(origin: u64, message: &str) -> Option<Vec<Change>> {
    let mut words = message.split(' ');
    if u64::from_str_radix(words.next()?, 16).ok()? == origin {
        return Some(Vec::new());
    }
    words.map(read_change).collect()
}

fn read_change(word: &str) -> Option<Change> {
    let mut parts = word.split(':');
    let what = match parts.next()? {
        "q" => What::Queued,
        "r" => What::ClaimedElsewhere,
        "c" => What::CancelRequested,
        "e" => What::Ended,
        _ => return None,
    };
    Some(Change { job: parts.next()?.parse().ok()?, fence: parts.next()?.parse().ok()?, what })
}

/// Heeds other processes' news until the ledger is gone.
pub(super) async fn heed(ledger: Weak<Inner>, mut listener: Listener) {
    let mut look = tokio::time::interval(LOOK);
    let mut clock = tokio::time::interval(CLOCK);
    loop {
        let heard = tokio::select! {
            heard = listener.heard() => match heard {
                Some(heard) => Some(heard),
                None => return,
            },
            _ = look.tick() => None,
            _ = clock.tick() => {
                let Some(ledger) = ledger.upgrade() else { return };
                ledger.set_clock().await;
                continue;
            }
        };
        let Some(ledger) = ledger.upgrade() else { return };
        let changes = match heard {
            Some(Heard::Message(message)) => read(ledger.origin, &message),
            None if listener.is_connected() => Some(Vec::new()),
            Some(Heard::Gap) | None => None,
        };
        match changes {
            Some(changes) => ledger.live.apply(changes),
            None => ledger.look().await,
        }
    }
}

impl Inner {
    /// Reads what became of the leases that are held here, and wakes everybody who waits.
    async fn look(&self) {
        if let Err(error) = self.look_at_held().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "held leases cannot be looked at");
        }
        self.live.ring_all();
    }

    async fn look_at_held(&self) -> Result<(), LedgerError> {
        let held = self.live.held();
        if held.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = held.iter().map(|(id, _)| id.to_string()).collect();
        // A list of strings always serializes.
        let ids = serde_json::to_string(&ids).unwrap_or_default();
        for row in self.db.fetch(&self.sql(HELD), values![ids]).await? {
            let (job, fence): (JobId, Fence) = (row.get("id")?, row.get("fence")?);
            let runs = row.get::<String>("state")? == JobState::Running.as_str();
            let known = held.iter().any(|(id, own)| *id == job && *own == fence);
            let what = match (runs && known, row.get("cancel_requested")?) {
                (true, false) => continue,
                (true, true) => What::CancelRequested,
                (false, _) => What::Ended,
            };
            self.live.apply(vec![Change { job, fence, what }]);
        }
        Ok(())
    }

    /// Takes over the database's clock, as far as it differs from this process's.
    pub(super) async fn set_clock(&self) {
        if !self.options.database_clock {
            return;
        }
        match self.db.clock_offset(&*self.options.clock).await {
            Ok(offset) => self.offset.store(offset, std::sync::atomic::Ordering::SeqCst),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the database's clock cannot be read");
            }
        }
    }
}

/// Begins to heed, where there may be other processes.
pub(super) async fn start(ledger: &Arc<Inner>) {
    ledger.set_clock().await;
    if let Some(listener) = ledger.db.listen(&ledger.schema).await {
        tokio::spawn(heed(Arc::downgrade(ledger), listener));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_read_as_they_were_written() {
        let job = JobId::new(1, 2);
        let whats = [What::Queued, What::ClaimedElsewhere, What::CancelRequested, What::Ended];
        let changes: Vec<Change> = whats.into_iter().map(|what| Change { job, fence: 3, what }).collect();
        let message = write(255, &changes);
        assert!(message.starts_with(&format!("ff q:{job}:3 r:")), "{message}");
        assert_eq!(read(254, &message), Some(changes.clone()));
        assert_eq!(read(255, &message), Some(vec![]), "our own news are no news");
        let many = write(255, &vec![changes[0].clone(); MOST + 1]);
        assert_eq!(read(254, &many), None, "too many to tell: look");
        assert!(write(u64::MAX, &vec![changes[0].clone(); MOST]).len() < 8_000);
        for nonsense in ["", "x", "ff z:1:2", "ff q:1", "ff q::"] {
            assert_eq!(read(1, nonsense), None, "{nonsense}");
        }
    }
}
