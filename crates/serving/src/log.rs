//! The prediction log: rows and answers in a bounded buffer, written as Parquet artifacts behind the
//! requests, which never wait for it and never fail on it.

mod builder;
mod flush;
mod ids;

use std::sync::{Arc, Mutex, PoisonError};

use gristmill_model::{Model, Prediction};
use gristmill_types::{ArtifactRef, Cell, Columns, ColumnsError, Micros, Project};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

pub(crate) use builder::prediction_columns;
pub(crate) use flush::Flusher;
pub(crate) use ids::PredictionIds;

use crate::metrics::ModelMetrics;
use builder::Chunk;

/// What is logged and how much may wait in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Share of rows that are logged, 0 to 1; each logged row carries it as its inclusion probability.
    pub sample: f64,
    /// Rows of one model that may wait; more are dropped and counted.
    pub buffer_rows: usize,
    /// Bytes of text of one model that may wait; more are dropped and counted.
    pub buffer_bytes: usize,
    /// Rows that are written as soon as they are there.
    pub flush_rows: usize,
    /// Seconds after which whatever is there is written.
    pub flush_seconds: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { sample: 1.0, buffer_rows: 100_000, buffer_bytes: 64 << 20, flush_rows: 50_000, flush_seconds: 60 }
    }
}

impl LogConfig {
    /// Refuses figures that mean nothing.
    ///
    /// # Errors
    /// A message naming the field.
    pub fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.sample) {
            return Err("log.sample must be within 0 and 1".into());
        }
        if self.flush_seconds == 0 || self.flush_rows == 0 || self.buffer_rows < self.flush_rows {
            return Err("log.flush_seconds and log.flush_rows must be positive, log.buffer_rows no less".into());
        }
        Ok(())
    }
}

/// The rows of one loaded version that wait to be written.
#[derive(Debug)]
pub(crate) struct LogBuffer {
    pub project: Project,
    pub name: String,
    pub version: u32,
    pub artifact: ArtifactRef,
    pub ids: Arc<PredictionIds>,
    config: LogConfig,
    /// Rows whose mixed number is not above this are logged; none when the log is off.
    threshold: Option<u64>,
    chunk: Mutex<Chunk>,
    /// An empty chunk of the model's columns.
    empty: Chunk,
    full: Arc<Notify>,
    metrics: ModelMetrics,
}

impl LogBuffer {
    #[expect(clippy::too_many_arguments, reason = "one place that puts a buffer together")]
    pub(crate) fn new(
        project: Project,
        name: String,
        version: u32,
        artifact: ArtifactRef,
        model: &Model,
        ids: Arc<PredictionIds>,
        config: LogConfig,
        full: Arc<Notify>,
        metrics: ModelMetrics,
    ) -> Self {
        let threshold = if config.sample >= 1.0 {
            Some(u64::MAX)
        } else {
            // The product is below 2^64.
            (config.sample > 0.0).then_some((config.sample * u64::MAX as f64) as u64)
        };
        let empty = Chunk::new(model);
        let chunk = Mutex::new(empty.clone());
        Self { project, name, version, artifact, ids, config, threshold, chunk, empty, full, metrics }
    }

    /// Whether anything is logged at all.
    pub(crate) const fn is_on(&self) -> bool {
        self.threshold.is_some()
    }

    /// Whether the row of this number is logged.
    pub(crate) fn samples(&self, id: u64) -> bool {
        self.threshold.is_some_and(|threshold| threshold == u64::MAX || self.ids.mixed(id) <= threshold)
    }

    /// Logs one row, if it is sampled and there is room.
    pub(crate) fn push<'c>(
        &self,
        id: u64,
        at: Micros,
        cells: impl Iterator<Item = Cell<'c>>,
        prediction: &Prediction<'_>,
    ) {
        if !self.samples(id) {
            return;
        }
        // Held for a few pushes only, also by the flusher.
        let mut chunk = self.chunk.lock().unwrap_or_else(PoisonError::into_inner);
        if chunk.rows() >= self.config.buffer_rows || chunk.text_bytes() >= self.config.buffer_bytes {
            self.metrics.dropped.inc();
            return;
        }
        chunk.push(id, at, cells, prediction);
        let ready = chunk.rows() == self.config.flush_rows;
        drop(chunk);
        if ready {
            self.full.notify_one();
        }
    }

    /// Whether nothing waits.
    fn is_empty(&self) -> bool {
        self.chunk.lock().unwrap_or_else(PoisonError::into_inner).rows() == 0
    }

    /// Takes what waits.
    fn take(&self) -> Chunk {
        let mut chunk = self.chunk.lock().unwrap_or_else(PoisonError::into_inner);
        if chunk.rows() == 0 {
            return self.empty.clone();
        }
        std::mem::replace(&mut *chunk, self.empty.clone())
    }

    /// The chunk as the table that is written.
    fn table(&self, chunk: Chunk) -> Result<Columns, ColumnsError> {
        chunk.into_columns(&self.ids, self.version, self.config.sample)
    }
}
