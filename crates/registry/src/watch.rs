//! Following the aliases of a project.

use std::collections::VecDeque;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use gristmill_runtime::values;
use gristmill_types::Project;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::{AliasMove, Registry, RegistryError, rows};

/// Moves read at once.
const PAGE: u32 = 100;

const UPTO: &str = "select coalesce(max(sequence), 0) as upto from {s}move where project = $1";
const STATE: &str = "select m.sequence, m.name, m.alias, m.from_version, m.to_version, m.at, m.moved_by, m.reason,
    m.verdict from {s}alias a join {s}move m on m.project = a.project and m.sequence = a.sequence
    where a.project = $1 order by m.sequence";
const AFTER: &str = "select sequence, name, alias, from_version, to_version, at, moved_by, reason, verdict from {s}move
    where project = $1 and sequence > $2 order by sequence limit $3";

/// Moves as they happen; ends when the process drains.
pub type MoveStream = BoxStream<'static, Result<AliasMove, RegistryError>>;

/// One open watch: reads when it is polled, and holds one page at most.
struct Watch {
    registry: Registry,
    project: Project,
    after: i64,
    page: VecDeque<AliasMove>,
    bell: watch::Receiver<u64>,
    _place: OwnedSemaphorePermit,
}

impl Registry {
    /// Streams the moves of a project after number `after`; 0 begins with the last move of every alias
    /// that stands.
    ///
    /// A move that happens while the watch begins may come twice, never not at all: what counts is where
    /// an alias stands after it.
    ///
    /// # Errors
    /// [`RegistryError::TooManyWatches`], [`RegistryError::Invalid`] for a negative number.
    pub async fn watch(&self, project: &Project, after: i64) -> Result<MoveStream, RegistryError> {
        if after < 0 {
            return Err(RegistryError::invalid("after_sequence", "sequence numbers are not negative"));
        }
        let limit = self.inner.settings.max_watches;
        let places = std::sync::Arc::clone(&self.inner.watches);
        let place = places.try_acquire_owned().map_err(|_| RegistryError::TooManyWatches { limit })?;
        let bell = self.inner.bell.subscribe();
        let (page, after) = if after == 0 { self.standing(project).await? } else { (VecDeque::new(), after) };
        let watch = Watch { registry: self.clone(), project: project.clone(), after, page, bell, _place: place };
        let drain = self.inner.shutdown.requested();
        Ok(stream::try_unfold(watch, next).take_until(drain).boxed())
    }

    /// Where aliases stand, and the number after which moves are still to come.
    async fn standing(&self, project: &Project) -> Result<(VecDeque<AliasMove>, i64), RegistryError> {
        // The number first: a move between the two readings is in the state and comes again.
        let row = self.inner.database.fetch_optional(&self.sql(UPTO), values![project]).await?;
        let upto = row.ok_or(RegistryError::Row("upto"))?.get("upto")?;
        let state = self.inner.database.fetch(&self.sql(STATE), values![project]).await?;
        Ok((state.iter().map(rows::alias_move).collect::<Result<_, _>>()?, upto))
    }
}

/// The next move, in order:
///
/// 1. hands out what was read;
/// 2. marks the bell as heard, then reads on: a move during the reading rings again;
/// 3. waits for the bell if there was nothing.
async fn next(mut watch: Watch) -> Result<Option<(AliasMove, Watch)>, RegistryError> {
    loop {
        if let Some(moved) = watch.page.pop_front() {
            watch.after = watch.after.max(moved.sequence);
            return Ok(Some((moved, watch)));
        }
        watch.bell.mark_unchanged();
        let registry = &watch.registry;
        let asked = values![&watch.project, watch.after, PAGE];
        let found = registry.inner.database.fetch(&registry.sql(AFTER), asked).await?;
        watch.page = found.iter().map(rows::alias_move).collect::<Result<_, _>>()?;
        if watch.page.is_empty() && watch.bell.changed().await.is_err() {
            return Ok(None);
        }
    }
}
