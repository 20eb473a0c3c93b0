//! Elastic net by linfa's coordinate descent, on columns written out.

use gristmill_model::proto::output::Link;
use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_elasticnet::ElasticNet as LinfaElasticNet;
use ndarray::{Array1, Array2, ShapeBuilder};

use crate::learner::{FitContext, Fitted, Learner, LearnerKind, Params, refused};
use crate::search::Space;
use crate::training_set::TrainingSet;
use crate::{LearnError, Task};

/// Least squares with L1 and L2 penalties.
#[derive(Debug)]
pub(crate) struct ElasticNet;

/// Cells of the written-out matrix at most; beyond it ridge regression stands alone.
const MAX_CELLS: usize = 4_000_000;

impl Learner for ElasticNet {
    fn kind(&self) -> LearnerKind {
        LearnerKind::ElasticNet
    }

    fn space(&self, _task: Task, _rows: usize) -> Space {
        Space::default().log_float("penalty", 1e-5, 1.0, 1e-2).float("l1_ratio", 0.0, 1.0, 0.5)
    }

    fn refusal(&self, set: &TrainingSet) -> Option<String> {
        let design = set.design();
        if design.columns == 0 {
            return Some("no feature is prepared for linear models".into());
        }
        if set.train().weight.is_some() {
            return Some("its solver does not take weights".into());
        }
        let cells = design.rows.saturating_mul(design.columns);
        (cells > MAX_CELLS).then(|| format!("{cells} cells written out are more than the {MAX_CELLS} it takes"))
    }

    fn fit(&self, set: &TrainingSet, params: &Params, context: &FitContext<'_>) -> Result<Fitted, LearnError> {
        let failed = |reason: String| LearnError::Fit { learner: "elastic_net".into(), reason };
        if let Some(refusal) = self.refusal(set) {
            return Err(failed(refusal));
        }
        let kind = self.kind();
        let penalty = params.float(kind, "penalty", 1e-2)?;
        let l1_ratio = params.float(kind, "l1_ratio", 0.5)?;
        if penalty < 0.0 || !(0.0..=1.0).contains(&l1_ratio) {
            return Err(refused(
                kind,
                "penalty",
                "the penalty must not be negative, its L1 share is from 0 to 1".into(),
            ));
        }
        let design = set.design();
        let scale = set.scale();
        // linfa's intercept is the mean of the target alone, which is right only for centred columns.
        let mut cells = vec![0.0; design.rows * design.columns];
        let mut means = Vec::with_capacity(design.columns);
        for (index, column) in cells.chunks_exact_mut(design.rows).enumerate() {
            design.expand(index, column);
            let mean = column.iter().sum::<f64>() / design.rows as f64;
            column.iter_mut().for_each(|value| *value -= mean);
            means.push(mean);
        }
        let records = Array2::from_shape_vec((design.rows, design.columns).f(), cells)
            .map_err(|error| failed(error.to_string()))?;
        let target: Array1<f64> = set.train().target.iter().map(|y| scale.to_unit(*y)).collect();
        let model = LinfaElasticNet::params()
            .penalty(penalty)
            .l1_ratio(l1_ratio)
            .tolerance(1e-6)
            .max_iterations(1_000)
            .fit(&DatasetBase::new(records, target))
            .map_err(|error| failed(error.to_string()))?;
        context.round(1, 1, None)?;
        let unit: Vec<f64> = model.hyperplane().to_vec();
        let shift: f64 = unit.iter().zip(&means).map(|(w, mean)| w * mean).sum();
        let weights = vec![unit.iter().map(|w| w * scale.spread).collect::<Vec<_>>()];
        Ok(Fitted {
            importance: design.importance(&weights),
            predictor: design.predictor(vec![scale.of_unit(model.intercept() - shift)], &weights),
            link: Link::Identity,
            rounds: None,
        })
    }
}
