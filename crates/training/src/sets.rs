//! Prepared rows in memory, shared by the trials of one study in one process.

use std::sync::Arc;

use gristmill_jobs::{Attempt, JobError};
use gristmill_learn::{Matrix, TrainingSet};
use gristmill_model::proto;
use gristmill_stage::AttemptStore;
use gristmill_types::Project;
use prost::Message;
use tokio::sync::Mutex;

use crate::TrainingError;
use crate::convert::Inputs;

/// Bytes that sets may take beyond the one that was asked for last.
const LIMIT: usize = 2 << 30;

/// The prepared data of one study, read and checked.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Signature and transform.
    pub transform: proto::Model,
    /// Rows, with the forms learners read made once.
    pub set: TrainingSet,
}

/// Sets by project and inputs, the last used at the end. Loading happens under the lock, so that trials
/// that start together read once.
#[derive(Debug, Default)]
pub(crate) struct Sets(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    project: Project,
    inputs: Inputs,
    loaded: Arc<Loaded>,
}

impl Sets {
    /// The set of `inputs`, from memory or read by `attempt`.
    pub(crate) async fn get(
        &self,
        attempt: &Attempt,
        store: &AttemptStore,
        inputs: &Inputs,
    ) -> Result<Arc<Loaded>, JobError> {
        let mut entries = self.0.lock().await;
        let found = entries.iter().position(|entry| entry.project == *attempt.project() && entry.inputs == *inputs);
        if let Some(at) = found {
            let entry = entries.remove(at);
            let loaded = Arc::clone(&entry.loaded);
            entries.push(entry);
            return Ok(loaded);
        }
        let loaded = Arc::new(read(attempt, store, inputs).await?);
        let mut room = LIMIT.saturating_sub(loaded.set.memory());
        // From the last used back, as long as they fit; sets in use stay alive with who uses them.
        let mut kept: Vec<Entry> = Vec::new();
        for entry in entries.drain(..).rev() {
            if let Some(left) = room.checked_sub(entry.loaded.set.memory()) {
                room = left;
                kept.insert(0, entry);
            }
        }
        *entries = kept;
        entries.push(Entry { project: attempt.project().clone(), inputs: *inputs, loaded: Arc::clone(&loaded) });
        Ok(loaded)
    }

    /// Frees the set of `inputs` once nobody uses it.
    pub(crate) async fn release(&self, project: &Project, inputs: &Inputs) {
        self.0.lock().await.retain(|entry| entry.project != *project || entry.inputs != *inputs);
    }
}

async fn read(attempt: &Attempt, store: &AttemptStore, inputs: &Inputs) -> Result<Loaded, JobError> {
    let transform = store.read(&inputs.transform, "transform.pb").await?;
    let train = store.read(&inputs.train, "matrix.bin").await?;
    let validation = store.read(&inputs.validation, "matrix.bin").await?;
    attempt
        .blocking(move |cancel| {
            let damaged =
                |part: &'static str| move |error: gristmill_learn::LearnError| TrainingError::input(part, error);
            let transform = proto::Model::decode(transform).map_err(|e| TrainingError::input("transform.pb", e))?;
            let train = Matrix::from_bytes(&train).map_err(damaged("matrix.bin"))?;
            cancel.check()?;
            let validation = Matrix::from_bytes(&validation).map_err(damaged("matrix.bin"))?;
            let set = TrainingSet::new(Arc::new(train), Some(Arc::new(validation))).map_err(damaged("matrix.bin"))?;
            Ok(Loaded { transform, set })
        })
        .await
}
