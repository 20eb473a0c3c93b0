//! Writes what waits, now and then and at the end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gristmill_runtime::Shutdown;
use gristmill_store::{Producer, Store, Unpinned};
use gristmill_types::{ArtifactKind, ArtifactRef, Digest, Name};
use tokio::sync::Notify;

use super::{Chunk, LogBuffer, LogConfig};
use crate::ServingError;
use crate::stage::LOGIC_VERSION;
use crate::tables::{LogRow, Tables};

/// Writes the buffers of all loaded models.
#[derive(Debug)]
pub(crate) struct Flusher {
    store: Store,
    tables: Tables,
    config: LogConfig,
    full: Arc<Notify>,
    buffers: Mutex<Vec<Arc<LogBuffer>>>,
    /// One flush at a time, so that a caller who asks for one gets everything before it.
    turn: tokio::sync::Mutex<()>,
}

impl Flusher {
    pub(crate) fn new(store: Store, tables: Tables, config: LogConfig) -> Self {
        Self {
            store,
            tables,
            config,
            full: Arc::default(),
            buffers: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) const fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Told by buffers that have enough rows.
    pub(crate) fn full(&self) -> Arc<Notify> {
        Arc::clone(&self.full)
    }

    /// Writes `buffer` from now on, until its model is gone and nothing waits.
    pub(crate) fn add(&self, buffer: Arc<LogBuffer>) {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }

    /// Flushes until the process ends, and once more then.
    pub(crate) async fn run(self: Arc<Self>, shutdown: Shutdown) {
        let mut tick = tokio::time::interval(Duration::from_secs(self.config.flush_seconds));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.full.notified() => {}
                _ = tick.tick() => {}
                () = shutdown.requested() => break,
            }
            self.flush().await;
        }
        self.flush().await;
    }

    /// Writes everything that waits now. What cannot be written is dropped and counted: requests that
    /// come meanwhile need the room.
    pub(crate) async fn flush(&self) {
        let _turn = self.turn.lock().await;
        let buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for buffer in &buffers {
            let chunk = buffer.take();
            let rows = chunk.rows() as u64;
            if rows == 0 {
                continue;
            }
            match self.write(buffer, chunk).await {
                Ok(artifact) => {
                    buffer.metrics.logged.inc_by(rows);
                    tracing::debug!(model = %buffer.name, rows, %artifact, "prediction log written");
                }
                Err(error) => {
                    buffer.metrics.dropped.inc_by(rows);
                    let error = gristmill_rpc::error::chain(&error);
                    tracing::warn!(model = %buffer.name, rows, error, "prediction log not written, rows dropped");
                }
            }
        }
        // A buffer that only this list and the copy above hold belongs to a version that is gone. Its
        // last rows may have come after it was taken, so it goes only when it is empty.
        let mut held = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|buffer| Arc::strong_count(buffer) > 2 || !buffer.is_empty());
    }

    async fn write(&self, buffer: &Arc<LogBuffer>, chunk: Chunk) -> Result<ArtifactRef, ServingError> {
        let (first_at, last_at) = chunk.span().unwrap_or_default();
        let rows = chunk.rows() as u64;
        let of = Arc::clone(buffer);
        let parquet = tokio::task::spawn_blocking(move || {
            let table = of.table(chunk).map_err(|error| ServingError::request("log", error.to_string()))?;
            let mut bytes = Vec::new();
            gristmill_frame::write_parquet(&table, &mut bytes)?;
            Ok::<_, ServingError>(bytes)
        });
        let parquet = parquet.await.map_err(|_| ServingError::Thread)??;
        let name = |text: &str| Name::new(text).map_err(|error| ServingError::request("log", error.to_string()));
        let producer = Producer {
            stage: name("serving")?,
            logic_version: LOGIC_VERSION,
            spec_digest: Digest::of(buffer.name.as_bytes()),
            cpu_class: name("any")?,
        };
        let store = self.store.project(&buffer.project);
        let mut writer = store.write(ArtifactKind::InferenceLog, producer, [buffer.artifact]);
        writer.part_bytes("rows.parquet", parquet).await?;
        // The grace of the sweep covers the moment until the row below names it.
        let artifact = writer.finish(&Unpinned).await?;
        let row = LogRow {
            project: buffer.project.clone(),
            name: buffer.name.clone(),
            version: buffer.version,
            artifact,
            rows,
            first_at,
            last_at,
        };
        self.tables.add_log(&row).await?;
        Ok(artifact)
    }
}
