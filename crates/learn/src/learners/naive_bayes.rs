//! Gaussian naive Bayes by linfa, on prepared numbers.

use gristmill_model::proto::{self, output::Link};
use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_bayes::GaussianNb;
use ndarray::{Array1, Array2, ShapeBuilder};
use serde::Deserialize;

use crate::learner::{FitContext, Fitted, Learner, LearnerKind, Params, refused};
use crate::search::Space;
use crate::training_set::TrainingSet;
use crate::{BlockKind, LearnError, Task};

/// Gaussian naive Bayes.
#[derive(Debug)]
pub(crate) struct NaiveBayes;

/// linfa keeps a fitted model's numbers to itself; its serialised form is the only way to them.
#[derive(Deserialize)]
struct Classes {
    class_info: std::collections::BTreeMap<usize, Class>,
}

#[derive(Deserialize)]
struct Class {
    prior: f64,
    theta: Array1<f64>,
    sigma: Array1<f64>,
}

impl Learner for NaiveBayes {
    fn kind(&self) -> LearnerKind {
        LearnerKind::NaiveBayes
    }

    fn space(&self, _task: Task, _rows: usize) -> Space {
        Space::default().log_float("var_smoothing", 1e-9, 1.0, 1e-9)
    }

    fn refusal(&self, set: &TrainingSet) -> Option<String> {
        set.train().numeric_block(BlockKind::NumericPrepared).is_empty().then(|| "no number is prepared for it".into())
    }

    fn fit(&self, set: &TrainingSet, params: &Params, context: &FitContext<'_>) -> Result<Fitted, LearnError> {
        let failed = |reason: String| LearnError::Fit { learner: "naive_bayes".into(), reason };
        let smoothing = params.float(self.kind(), "var_smoothing", 1e-9)?;
        if smoothing < 0.0 {
            return Err(refused(self.kind(), "var_smoothing", format!("{smoothing} is negative")));
        }
        let train = set.train();
        let slots = train.numeric_block(BlockKind::NumericPrepared);
        let values = slots.iter().flat_map(|slot| slot.values.iter().map(|v| f64::from(*v))).collect();
        let records = Array2::from_shape_vec((train.rows(), slots.len()).f(), values)
            .map_err(|error| failed(error.to_string()))?;
        let targets: Array1<usize> = train.target.iter().map(|class| *class as usize).collect();
        let model: GaussianNb<f64, usize> = GaussianNb::params()
            .var_smoothing(smoothing)
            .fit(&DatasetBase::new(records, targets))
            .map_err(|error| failed(error.to_string()))?;
        context.round(1, 1, None)?;
        let read = serde_json::to_value(&model).and_then(serde_json::from_value::<Classes>);
        let classes = read.map_err(|error| failed(error.to_string()))?.class_info;
        let mut bayes =
            proto::NaiveBayes { slots: slots.iter().map(|slot| slot.slot).collect(), ..proto::NaiveBayes::default() };
        for class in 0..train.labels.len() {
            let found = classes.get(&class).ok_or_else(|| failed(format!("class {class} has no training row")))?;
            if found.sigma.iter().any(|variance| variance.is_nan() || *variance <= 0.0) {
                let label = train.labels.get(class).map_or("", String::as_str);
                return Err(failed(format!("a feature does not vary within class `{label}`: raise var_smoothing")));
            }
            bayes.log_prior.push(libm::log(found.prior));
            bayes.mean.extend(found.theta.iter());
            bayes.variance.extend(found.sigma.iter());
        }
        let predictor = proto::predictor::Predictor::NaiveBayes(bayes);
        Ok(Fitted {
            predictor: proto::Predictor { predictor: Some(predictor) },
            link: Link::Softmax,
            rounds: None,
            importance: Vec::new(),
        })
    }
}
