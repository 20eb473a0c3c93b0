//! The baseline: the mean, or the share of each class.

use gristmill_model::proto::{self, output::Link};

use crate::learner::{FitContext, Fitted, Learner, LearnerKind, Params};
use crate::search::Space;
use crate::training_set::TrainingSet;
use crate::{LearnError, Matrix, Task};

/// The same answer for every row.
#[derive(Debug)]
pub(crate) struct Constant;

impl Learner for Constant {
    fn kind(&self) -> LearnerKind {
        LearnerKind::Constant
    }

    fn space(&self, _task: Task, _rows: usize) -> Space {
        Space::default()
    }

    fn fit(&self, set: &TrainingSet, _params: &Params, context: &FitContext<'_>) -> Result<Fitted, LearnError> {
        let (scores, link) = prior_scores(set.train());
        context.round(1, 1, None)?;
        let predictor = proto::predictor::Predictor::Constant(proto::Constant { scores });
        Ok(Fitted {
            predictor: proto::Predictor { predictor: Some(predictor) },
            link,
            rounds: None,
            importance: Vec::new(),
        })
    }
}

/// Mean of the target on the scale of the link: log odds, log shares, or the mean itself.
pub(crate) fn prior_scores(matrix: &Matrix) -> (Vec<f64>, Link) {
    let weight = |row: usize| matrix.weight.as_ref().and_then(|w| w.get(row)).copied().unwrap_or(1.0);
    let mut total = 0.0;
    let mut sums = vec![0.0; matrix.labels.len().max(1)];
    for (row, value) in matrix.target.iter().enumerate() {
        total += weight(row);
        if matrix.task == Task::Regression {
            if let Some(sum) = sums.first_mut() {
                *sum += weight(row) * value;
            }
        } else if let Some(sum) = sums.get_mut(*value as usize) {
            *sum += weight(row);
        }
    }
    match matrix.task {
        Task::Regression => (sums.iter().map(|sum| sum / total).collect(), Link::Identity),
        _ => {
            // Half a row for each class keeps the scores finite where a class does not occur.
            let classes = sums.len() as f64;
            let share = |sum: &f64| (sum + 0.5) / (total + 0.5 * classes);
            if matrix.task == Task::Binary {
                let positive = sums.get(1).map_or(0.5, share);
                (vec![libm::log(positive / (1.0 - positive))], Link::Logistic)
            } else {
                (sums.iter().map(|sum| libm::log(share(sum))).collect(), Link::Softmax)
            }
        }
    }
}
