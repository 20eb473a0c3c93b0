//! All metrics of a task at once.

use super::scores::{Data, Multiclass, Scores};
use super::{
    Confusion, Metric, MetricError, Ranking, calibration_intercept, calibration_line, expected_calibration_error,
    probability, regression,
};
use crate::metric::Task;

/// A metric with its value, or why it has none.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricValue {
    /// The metric.
    pub metric: Metric,
    /// Its value, or why it has none on these rows.
    pub value: Result<f64, MetricError>,
}

/// Every metric of `task` on `scores`, in the order of reports; a metric that is not defined on these rows says why.
///
/// # Errors
/// [`MetricError::Task`] if the scores are of another task.
pub fn evaluate(task: Task, scores: &Scores) -> Result<Vec<MetricValue>, MetricError> {
    if scores.task() != task {
        return Err(MetricError::Task { metric: Metric::primary(task), task: scores.task() });
    }
    // What several metrics share is computed once.
    let confusion = Confusion::of(scores).ok();
    let areas = match scores.data() {
        Data::Binary(_) => binary_areas(scores).ok(),
        _ => None,
    };
    let shared = |metric: Metric| match (metric, &areas, &confusion) {
        (Metric::RocAuc, Some(areas), _) => Ok(areas.0),
        (Metric::AveragePrecision, Some(areas), _) => Ok(areas.1),
        (_, _, Some(confusion)) => from_confusion(metric, confusion).unwrap_or_else(|| metric.compute(scores)),
        _ => metric.compute(scores),
    };
    Ok(Metric::of(task).map(|metric| MetricValue { metric, value: shared(metric) }).collect())
}

fn binary_areas(scores: &Scores) -> Result<(f64, f64), MetricError> {
    let Data::Binary(data) = scores.data() else {
        return Err(MetricError::Task { metric: Metric::RocAuc, task: scores.task() });
    };
    let ranking = Ranking::new(&data.probability, |row| (0, data.truth[row], scores.weight(row)));
    ranking.areas(|_| 1.0).map(|areas| (areas.roc_auc, areas.average_precision)).ok_or(MetricError::OneClass)
}

fn macro_auc(data: &Multiclass, scores: &Scores) -> Result<f64, MetricError> {
    let mut sum = 0.0;
    for class in 0..data.classes {
        let column: Vec<f64> = data.probabilities.chunks_exact(data.classes).map(|row| row[class]).collect();
        let row = |row: usize| (0, data.truth[row] as usize == class, scores.weight(row));
        let areas = Ranking::new(&column, row).areas(|_| 1.0);
        sum += areas.ok_or(MetricError::MissingClass { class })?.roc_auc;
    }
    Ok(sum / data.classes as f64)
}

/// Metrics that follow from the confusion matrix; for a binary task those of the positive class.
pub(super) fn from_confusion(metric: Metric, confusion: &Confusion) -> Option<Result<f64, MetricError>> {
    Some(match metric {
        Metric::Accuracy => Ok(confusion.accuracy()),
        Metric::BalancedAccuracy => confusion.balanced_accuracy(),
        Metric::Precision => Ok(confusion.precision(1)),
        Metric::Recall => confusion.recall(1),
        Metric::F1 => confusion.f1(1),
        Metric::Mcc => confusion.mcc(),
        Metric::MacroF1 => Ok(confusion.macro_f1()),
        _ => return None,
    })
}

pub(super) fn compute(metric: Metric, scores: &Scores) -> Result<f64, MetricError> {
    if !metric.applies_to(scores.task()) {
        return Err(MetricError::Task { metric, task: scores.task() });
    }
    match (scores.data(), metric) {
        (Data::Binary(data), Metric::LogLoss) => Ok(probability::binary_mean(data, scores, probability::row_log_loss)),
        (Data::Binary(data), Metric::Brier) => Ok(probability::binary_mean(data, scores, probability::row_brier)),
        (Data::Binary(_), Metric::RocAuc) => binary_areas(scores).map(|areas| areas.0),
        (Data::Binary(_), Metric::AveragePrecision) => binary_areas(scores).map(|areas| areas.1),
        (Data::Binary(_), Metric::CalibrationIntercept) => calibration_intercept(scores),
        (Data::Binary(_), Metric::CalibrationSlope) => calibration_line(scores).map(|line| line.slope),
        (Data::Binary(_), Metric::Ece) => expected_calibration_error(scores),
        (Data::Multiclass(data), Metric::LogLoss) => Ok(probability::multiclass_log_loss(data, scores)),
        (Data::Multiclass(data), Metric::MacroAuc) => macro_auc(data, scores),
        (Data::Regression(data), Metric::Rmse) => {
            Ok(regression::mean_of(data, scores, |t, p| regression::square(t - p)).sqrt())
        }
        (Data::Regression(data), Metric::Mae) => Ok(regression::mean_of(data, scores, |t, p| (t - p).abs())),
        (Data::Regression(data), Metric::R2) => regression::r2(data, scores),
        (Data::Regression(data), Metric::MedianAbsoluteError) => {
            regression::median_absolute_error(data, scores).ok_or(MetricError::NoWeight)
        }
        (Data::Regression(data), Metric::Mape) => regression::mape(data, scores),
        _ => {
            let confusion = Confusion::of(scores)?;
            from_confusion(metric, &confusion).unwrap_or(Err(MetricError::Task { metric, task: scores.task() }))
        }
    }
}
