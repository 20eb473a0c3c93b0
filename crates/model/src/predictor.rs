//! Predictors: from slots to raw scores in f64, summed in one fixed order.

mod ensemble;
mod linear;
mod naive_bayes;
mod trees;

use ensemble::Ensemble;
use linear::Linear;
use naive_bayes::NaiveBayes;
use trees::{TreeScratch, Trees};

use crate::output::Output;
use crate::slots::SlotsView;
use crate::transform::{RowSlots, SlotShape};
use crate::{ModelError, proto};

/// Greatest magnitude of a coefficient, mean or leaf: below it no sum of ours overflows.
const MAX_MAGNITUDE: f64 = 1e150;
/// Greatest magnitude of a score.
const MAX_SCORE: f64 = 1e300;
/// Ensembles within ensembles at most.
const MAX_NESTING: usize = 4;

/// A checked predictor in the form it is applied in.
#[derive(Debug, Clone)]
pub struct Predictor {
    kind: Kind,
    width: usize,
}

/// What one row of a predictor costs by count, so that comparisons need no stopwatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Nodes on the longest path of every tree.
    pub nodes: u64,
    /// Multiplications and divisions.
    pub multiplications: u64,
}

#[derive(Debug, Clone)]
enum Kind {
    Linear(Linear),
    Trees(Trees),
    NaiveBayes(NaiveBayes),
    Ensemble(Ensemble),
    Constant(Vec<f64>),
}

/// Space that single rows are scored in.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowSpace {
    trees: TreeScratch,
    members: Vec<Vec<f64>>,
}

impl Predictor {
    /// Checks `message` against the slots it reads and the output that reads its scores.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] with the path of the first wrong field.
    pub fn compile(message: &proto::Predictor, shape: &SlotShape, output: &Output) -> Result<Self, ModelError> {
        let predictor = Self::compile_at(message, shape, output, "predictor", 0)?;
        output.check_width(output.link(), predictor.width, "output.link")?;
        Ok(predictor)
    }

    fn compile_at(
        message: &proto::Predictor,
        shape: &SlotShape,
        output: &Output,
        at: &str,
        depth: usize,
    ) -> Result<Self, ModelError> {
        use proto::predictor::Predictor as P;
        let invalid = |reason: String| ModelError::invalid(at, reason);
        let kind = match message.predictor.as_ref().ok_or_else(|| invalid("is not there".into()))? {
            P::Linear(linear) => Kind::Linear(Linear::compile(linear, shape).map_err(invalid)?),
            P::Trees(trees) => Kind::Trees(Trees::compile(trees, shape).map_err(invalid)?),
            P::NaiveBayes(bayes) => Kind::NaiveBayes(NaiveBayes::compile(bayes, shape).map_err(invalid)?),
            P::Ensemble(_) if depth >= MAX_NESTING => {
                return Err(invalid(format!("nests more than {MAX_NESTING} ensembles")));
            }
            P::Ensemble(ensemble) => Kind::Ensemble(Ensemble::compile(ensemble, shape, output, at, depth)?),
            P::Constant(constant) => Kind::Constant(bounded(&constant.scores, "scores").map_err(invalid)?),
        };
        let width = match &kind {
            Kind::Linear(linear) => linear.width(),
            Kind::Trees(trees) => trees.width(),
            Kind::NaiveBayes(bayes) => bayes.width(),
            Kind::Ensemble(ensemble) => ensemble.width(),
            Kind::Constant(scores) => scores.len(),
        };
        Ok(Self { kind, width })
    }

    /// Scores per row.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Scores every row: row-major, [`Self::width`] each.
    ///
    /// # Errors
    /// [`ModelError::Slots`] if a slot that the predictor reads is not there.
    pub fn scores(&self, slots: &SlotsView<'_>) -> Result<Vec<f64>, ModelError> {
        let mut scores = match &self.kind {
            Kind::Linear(linear) => linear.scores(slots)?,
            Kind::Trees(trees) => trees.scores(slots)?,
            Kind::NaiveBayes(bayes) => bayes.scores(slots)?,
            Kind::Ensemble(ensemble) => ensemble.scores(slots)?,
            Kind::Constant(scores) => scores.repeat(slots.rows()),
        };
        scores.iter_mut().for_each(|score| *score = bounded_score(*score));
        Ok(scores)
    }

    /// Scores one row into `out`, bit-equal to [`Self::scores`].
    pub(crate) fn row(&self, slots: &RowSlots, space: &mut RowSpace, out: &mut Vec<f64>) {
        out.clear();
        match &self.kind {
            Kind::Linear(linear) => linear.row(slots, out),
            Kind::Trees(trees) => trees.row(slots, &mut space.trees, out),
            Kind::NaiveBayes(bayes) => bayes.row(slots, out),
            Kind::Ensemble(ensemble) => ensemble.row(slots, space, out),
            Kind::Constant(scores) => out.extend_from_slice(scores),
        }
        out.iter_mut().for_each(|score| *score = bounded_score(*score));
    }

    /// Cost of one row.
    pub fn cost(&self) -> Cost {
        match &self.kind {
            Kind::Linear(linear) => Cost { nodes: 0, multiplications: linear.multiplications() },
            Kind::Trees(trees) => Cost { nodes: trees.nodes_visited(), multiplications: trees.width() as u64 },
            Kind::NaiveBayes(bayes) => Cost { nodes: 0, multiplications: bayes.multiplications() },
            Kind::Ensemble(ensemble) => ensemble.cost(),
            Kind::Constant(_) => Cost::default(),
        }
    }
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { nodes: self.nodes + other.nodes, multiplications: self.multiplications + other.multiplications }
    }
}

/// Keeps scores finite, so that every link has a value. Sums of bounded terms are never NaN.
fn bounded_score(score: f64) -> f64 {
    score.clamp(-MAX_SCORE, MAX_SCORE)
}

/// Checks that every value is finite and of sane magnitude.
fn bounded(values: &[f64], what: &str) -> Result<Vec<f64>, String> {
    if let Some(value) = values.iter().find(|value| !(-MAX_MAGNITUDE..=MAX_MAGNITUDE).contains(*value)) {
        return Err(format!("has {what} with {value}: only numbers up to {MAX_MAGNITUDE:e} are allowed"));
    }
    Ok(values.to_vec())
}

/// Checks the number of a numeric slot.
fn numeric_slot(slot: u32, shape: &SlotShape) -> Result<usize, String> {
    let slot = slot as usize;
    if slot < shape.numeric { Ok(slot) } else { Err(format!("reads numeric slot {slot}, there are {}", shape.numeric)) }
}
