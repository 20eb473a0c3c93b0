//! Ridge regression on prepared numbers and one-hot categories.

use gristmill_model::proto::output::Link;

use super::logistic::{DEFAULT_L2, l2};
use super::newton::{Loss, Problem};
use crate::learner::{FitContext, Fitted, Learner, LearnerKind, Params};
use crate::search::Space;
use crate::training_set::TrainingSet;
use crate::{LearnError, Task};

/// Least squares with an L2 penalty: half the mean squared error + (l2 / 2) ‖w‖².
#[derive(Debug)]
pub(crate) struct Linear;

impl Learner for Linear {
    fn kind(&self) -> LearnerKind {
        LearnerKind::Linear
    }

    fn space(&self, _task: Task, _rows: usize) -> Space {
        Space::default().log_float("l2", 1e-7, 1.0, DEFAULT_L2)
    }

    fn refusal(&self, set: &TrainingSet) -> Option<String> {
        (set.design().columns == 0).then(|| "no feature is prepared for linear models".into())
    }

    fn fit(&self, set: &TrainingSet, params: &Params, context: &FitContext<'_>) -> Result<Fitted, LearnError> {
        let train = set.train();
        // A target of spread 1, so that one tolerance fits every unit of measure.
        let scale = set.scale();
        let target: Vec<f64> = train.target.iter().map(|y| scale.to_unit(*y)).collect();
        let problem = Problem {
            design: set.design(),
            target: &target,
            weight: train.weight.as_deref(),
            loss: Loss::Squared,
            outputs: 1,
            lambda: l2(self.kind(), params)?,
        };
        let solution = problem.solve(&[0.0], context)?;
        let scaled = |weights: &Vec<f64>| weights.iter().map(|w| w * scale.spread).collect();
        let weights: Vec<Vec<f64>> = solution.weights.iter().map(scaled).collect();
        let intercept = solution.intercept.iter().map(|b| scale.of_unit(*b)).collect();
        Ok(Fitted {
            importance: set.design().importance(&weights),
            predictor: set.design().predictor(intercept, &weights),
            link: Link::Identity,
            rounds: None,
        })
    }
}
