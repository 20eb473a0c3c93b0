//! A checked model, ready to predict.

use gristmill_types::{Cell, Columns, Digest, Limits};

use crate::predictor::{Predictor, RowSpace};
use crate::slots::{Slots, SlotsView};
use crate::transform::{RowSlots, Transformer};
use crate::{ModelError, Output, Prediction, Predictions, Signature, Task, file, proto};

/// A model that was checked once, in the form it is applied in. Cheap to share behind an `Arc`.
#[derive(Debug, Clone)]
pub struct Model {
    message: proto::Model,
    digest: Digest,
    transformer: Transformer,
    predictor: Predictor,
    output: Output,
}

/// Space that single rows are predicted in; reuse it and the hot path does not allocate.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    slots: RowSlots,
    space: RowSpace,
    scores: Vec<f64>,
    units: Vec<f64>,
    answer: Option<Predictions>,
}

impl Model {
    /// Reads and checks a model file of at most `Limits::DEFAULT.model_bytes`.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with the frame, or where with the model. Never panics.
    pub fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        Self::read_bounded(bytes, Limits::DEFAULT.model_bytes)
    }

    /// As [`Self::read`], with a limit of the caller's: a decoded model takes up to a hundred times the
    /// bytes of a file made to do so.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_bounded(bytes: &[u8], limit: usize) -> Result<Self, ModelError> {
        Self::check(file::read(bytes, limit)?, Digest::of(bytes))
    }

    /// Checks a message; the digest is that of the file it would be written as.
    ///
    /// # Errors
    /// [`ModelError::Version`] or [`ModelError::Invalid`] with the path of the first wrong field.
    pub fn from_proto(message: proto::Model) -> Result<Self, ModelError> {
        let digest = Digest::of(&file::write(&message));
        Self::check(message, digest)
    }

    fn check(message: proto::Model, digest: Digest) -> Result<Self, ModelError> {
        let transformer = Transformer::from_proto(&message)?;
        let output = message.output.as_ref().ok_or_else(|| ModelError::invalid("output", "is not there"))?;
        let output = Output::compile(output)?;
        let predictor = message.predictor.as_ref().ok_or_else(|| ModelError::invalid("predictor", "is not there"))?;
        let predictor = Predictor::compile(predictor, &transformer.shape(), &output)?;
        if let Some(baseline) = &message.baseline {
            for digest in [&baseline.train, &baseline.dataset].into_iter().filter(|digest| !digest.is_empty()) {
                digest.parse::<Digest>()?;
            }
            let quantiles = &baseline.score_quantiles;
            if quantiles.iter().any(|q| !q.is_finite()) || quantiles.windows(2).any(|pair| pair[0] > pair[1]) {
                return Err(ModelError::invalid("baseline.score_quantiles", "are not finite and in order"));
            }
        }
        Ok(Self { message, digest, transformer, predictor, output })
    }

    /// The message the model was made of.
    pub const fn proto(&self) -> &proto::Model {
        &self.message
    }

    /// SHA-256 of the whole file.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// What the model reads.
    pub const fn signature(&self) -> &Signature {
        self.transformer.signature()
    }

    /// The model without its predictor.
    pub const fn transformer(&self) -> &Transformer {
        &self.transformer
    }

    /// The predictor.
    pub const fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// Link, calibration, threshold and labels.
    pub const fn output(&self) -> &Output {
        &self.output
    }

    /// What is predicted.
    pub const fn task(&self) -> Task {
        self.output.task()
    }

    /// Labels in the order of the probabilities; empty for regression.
    pub fn labels(&self) -> &[String] {
        self.output.labels()
    }

    /// Predicts every row of a table. Columns are found by name; the README says what missing, unknown and
    /// unreadable values mean.
    ///
    /// # Errors
    /// [`ModelError::MissingColumns`], [`ModelError::WrongType`] or [`ModelError::BadValue`].
    pub fn predict(&self, table: &Columns) -> Result<Predictions, ModelError> {
        self.predict_slots(&self.transform_only(table)?.view())
    }

    /// Turns a table into slots.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub fn transform_only(&self, table: &Columns) -> Result<Slots, ModelError> {
        self.transformer.transform(table)
    }

    /// Raw scores of transformed rows, row-major, [`Predictor::width`] each.
    ///
    /// # Errors
    /// [`ModelError::Slots`] if a slot that the predictor reads is not there.
    pub fn scores_from_slots(&self, slots: &SlotsView<'_>) -> Result<Vec<f64>, ModelError> {
        self.predictor.scores(slots)
    }

    /// Predicts transformed rows.
    ///
    /// # Errors
    /// [`ModelError::Slots`] if a slot that the predictor reads is not there.
    pub fn predict_slots(&self, slots: &SlotsView<'_>) -> Result<Predictions, ModelError> {
        self.output.finish(slots.rows(), &self.predictor.scores(slots)?)
    }

    /// Predicts one row of cells in signature order, bit-equal to [`Self::predict`].
    ///
    /// # Errors
    /// [`ModelError::CellCount`] or [`ModelError::BadValue`] (row 0).
    pub fn predict_row<'s>(&self, cells: &[Cell<'_>], scratch: &'s mut Scratch) -> Result<Prediction<'s>, ModelError> {
        self.predict_row_numbered(cells, 0, scratch)
    }

    /// As [`Self::predict_row`]; errors call the row `number`.
    ///
    /// # Errors
    /// As [`Self::predict_row`].
    pub fn predict_row_numbered<'s>(
        &self,
        cells: &[Cell<'_>],
        number: usize,
        scratch: &'s mut Scratch,
    ) -> Result<Prediction<'s>, ModelError> {
        self.transformer.transform_row(cells, number, &mut scratch.slots)?;
        self.predictor.row(&scratch.slots, &mut scratch.space, &mut scratch.scores);
        self.output.units_of(self.output.link(), &scratch.scores, &mut scratch.units);
        // A scratch may have served another model before.
        let reusable = scratch.answer.take().filter(|answer| {
            answer.task == self.task() && std::sync::Arc::ptr_eq(&answer.labels, self.output.labels())
        });
        let answer = scratch.answer.insert(reusable.unwrap_or_else(|| Predictions::with_capacity(&self.output, 1)));
        answer.clear();
        answer.push(&self.output, &scratch.units);
        answer.row(0).ok_or_else(|| ModelError::Slots("the row has no prediction".into()))
    }
}
