//! A loaded model with everything a request needs worked out beforehand.

use std::sync::Arc;

use bytes::Bytes;
use gristmill_model::{Model, Prediction, Task};
use gristmill_types::{ArtifactRef, Cell, Micros};

use crate::ServingError;
use crate::log::LogBuffer;
use crate::metrics::ModelMetrics;
use crate::rows::Rows;

/// One version of a model, ready to answer.
#[derive(Debug)]
pub(crate) struct Deployed {
    pub name: String,
    pub version: u32,
    pub artifact: ArtifactRef,
    /// The file as it is in the store, for export.
    pub file: Bytes,
    pub model: Model,
    pub loaded_at: Micros,
    pub log: Arc<LogBuffer>,
    pub metrics: ModelMetrics,
    /// `{"model":…,"version":…,"predictions":[`.
    head: Vec<u8>,
    /// `"label":`, by label.
    keys: Vec<Vec<u8>>,
    /// `{"prediction":"label"`, by label.
    openings: Vec<Vec<u8>>,
}

impl Deployed {
    #[expect(clippy::too_many_arguments, reason = "one place that puts a deployment together")]
    pub(crate) fn new(
        name: String,
        version: u32,
        artifact: ArtifactRef,
        file: Bytes,
        model: Model,
        loaded_at: Micros,
        log: Arc<LogBuffer>,
        metrics: ModelMetrics,
    ) -> Self {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let head = format!("{{\"model\":{},\"version\":{version},\"predictions\":[", quoted(&name)).into_bytes();
        let keys = model.labels().iter().map(|label| format!("{}:", quoted(label)).into_bytes()).collect();
        let openings =
            model.labels().iter().map(|label| format!("{{\"prediction\":{}", quoted(label)).into_bytes()).collect();
        Self { name, version, artifact, file, model, loaded_at, log, metrics, head, keys, openings }
    }

    /// Predicts JSON rows and writes the answer.
    pub(crate) fn answer(&self, rows: &Rows<'_>, at: Micros) -> Result<Vec<u8>, ServingError> {
        let first = self.log.ids.take(rows.len());
        if rows.len() != 1 {
            return self.answer_many(rows, first, at);
        }
        let mut out = Vec::with_capacity(self.head.len() + 8 + rows.len() * (96 + 48 * self.keys.len()));
        out.extend_from_slice(&self.head);
        crate::scratch::with(|scratch| {
            rows.for_each(|row, cells| {
                let prediction = self.model.predict_row_numbered(cells, row, scratch)?;
                self.write(&mut out, &prediction, first);
                self.log.push(first, at, cells.iter().copied(), &prediction);
                Ok::<_, ServingError>(())
            })
        })?;
        out.extend_from_slice(b"]}");
        self.metrics.rows.inc_by(rows.len() as u64);
        Ok(out)
    }

    /// Predicts all rows before any of them is written or logged.
    fn answer_many(&self, rows: &Rows<'_>, first: u64, at: Micros) -> Result<Vec<u8>, ServingError> {
        let labels = self.model.labels();
        let width = labels.len().max(1);
        let mut outputs = Vec::with_capacity(rows.len() * width);
        let mut indexes = Vec::with_capacity(rows.len());
        crate::scratch::with(|scratch| {
            rows.for_each(|row, cells| {
                let prediction = self.model.predict_row_numbered(cells, row, scratch)?;
                outputs.extend_from_slice(prediction.outputs());
                indexes.push(if let Prediction::Label { index, .. } = prediction { index } else { 0 });
                Ok::<_, ServingError>(())
            })
        })?;
        let mut out = Vec::with_capacity(self.head.len() + 8 + rows.len() * (96 + 48 * self.keys.len()));
        out.extend_from_slice(&self.head);
        rows.for_each(|row, cells| {
            let outputs = outputs.get(row * width..(row + 1) * width).unwrap_or_default();
            let index = indexes.get(row).copied().unwrap_or(0);
            let prediction = match (labels.get(index), outputs) {
                (Some(label), probabilities) => Prediction::Label { index, label, probabilities },
                (None, [value, ..]) => Prediction::Value(*value),
                (None, []) => return Err(ServingError::Thread),
            };
            if row > 0 {
                out.push(b',');
            }
            let id = first + row as u64;
            self.write(&mut out, &prediction, id);
            self.log.push(id, at, cells.iter().copied(), &prediction);
            Ok(())
        })?;
        out.extend_from_slice(b"]}");
        self.metrics.rows.inc_by(rows.len() as u64);
        Ok(out)
    }

    /// Writes `{"prediction":…,"probability":{…},"prediction_id":"…"}`.
    fn write(&self, out: &mut Vec<u8>, prediction: &Prediction<'_>, id: u64) {
        match prediction {
            Prediction::Value(value) => {
                out.extend_from_slice(b"{\"prediction\":");
                number(out, *value);
            }
            Prediction::Label { index, probabilities, .. } => {
                out.extend_from_slice(self.openings.get(*index).map_or(b"{\"prediction\":null", Vec::as_slice));
                out.extend_from_slice(b",\"probability\":{");
                for (number_of, (key, p)) in self.keys.iter().zip(*probabilities).enumerate() {
                    if number_of > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(key);
                    number(out, *p);
                }
                out.push(b'}');
            }
        }
        out.extend_from_slice(b",\"prediction_id\":\"");
        self.log.ids.write(out, id);
        out.extend_from_slice(b"\"}");
    }

    /// Predicts a table whose rows are logged; gives the number of the first row's id.
    pub(crate) fn predict_table(
        &self,
        table: &gristmill_types::Columns,
        at: Micros,
    ) -> Result<(gristmill_model::Predictions, u64), ServingError> {
        let predictions = self.model.predict(table)?;
        let first = self.log.ids.take(table.rows());
        if self.log.is_on() {
            let inputs = self.model.signature().inputs();
            let columns: Vec<_> = inputs.iter().map(|input| table.get(&input.name)).collect();
            for row in 0..table.rows() {
                let id = first + row as u64;
                if self.log.samples(id)
                    && let Some(prediction) = predictions.row(row)
                {
                    let cells = columns.iter().map(|column| column.map_or(Cell::Missing, |column| column.cell(row)));
                    self.log.push(id, at, cells, &prediction);
                }
            }
        }
        self.metrics.rows.inc_by(table.rows() as u64);
        Ok((predictions, first))
    }

    /// What is predicted.
    pub(crate) fn task(&self) -> Task {
        self.model.task()
    }
}

/// Writes a finite number so that it reads back equal.
fn number(out: &mut Vec<u8>, value: f64) {
    // Writing into a Vec does not fail, and predictions are finite.
    if serde_json::to_writer(&mut *out, &value).is_err() {
        out.extend_from_slice(b"null");
    }
}
