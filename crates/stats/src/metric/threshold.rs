//! Choice of the decision threshold, on scores that are not the test's.

use serde::{Deserialize, Serialize};

use super::scores::{Data, Scores};
use super::{Metric, MetricError};

/// What a threshold is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "for")]
pub enum ThresholdRule {
    /// Greatest F1 of the positive class.
    F1,
    /// Least total cost of wrong predictions; both costs are positive, in one unit.
    Cost {
        /// Cost of calling a negative row positive.
        false_positive: f64,
        /// Cost of calling a positive row negative.
        false_negative: f64,
    },
}

/// A chosen threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ThresholdChoice {
    /// Rows with a probability of at least this are predicted positive.
    pub threshold: f64,
    /// F1 at the threshold, or the mean cost per unit of weight.
    pub value: f64,
}

/// Chooses the threshold that serves `rule` best on `scores`; of equally good ones the highest. It lies midway between
/// two neighbouring scores, so that it does not hang on the exact value of one row.
///
/// # Errors
/// [`MetricError`] if the scores are not binary, hold one class, or a cost is not positive.
pub fn choose_threshold(scores: &Scores, rule: ThresholdRule) -> Result<ThresholdChoice, MetricError> {
    let Data::Binary(data) = scores.data() else {
        return Err(MetricError::Task { metric: Metric::F1, task: scores.task() });
    };
    if let ThresholdRule::Cost { false_positive, false_negative } = rule {
        for (what, value) in
            [("the cost of a false positive", false_positive), ("the cost of a false negative", false_negative)]
        {
            if !value.is_finite() || value <= 0.0 {
                return Err(MetricError::Value { what, row: 0, value, need: "a cost is a positive number" });
            }
        }
    }
    let mut order: Vec<usize> = (0..scores.rows()).filter(|row| scores.weight(*row) > 0.0).collect();
    order.sort_by(|a, b| data.probability[*b].total_cmp(&data.probability[*a]));
    let weight_of = |class: bool| -> f64 {
        order.iter().filter(|row| data.truth[**row] == class).map(|row| scores.weight(*row)).sum()
    };
    let (positives, negatives) = (weight_of(true), weight_of(false));
    if positives == 0.0 || negatives == 0.0 {
        return Err(MetricError::OneClass);
    }
    // Greater is better for both rules.
    let merit = |tp: f64, fp: f64| match rule {
        ThresholdRule::F1 => 2.0 * tp / (positives + tp + fp),
        ThresholdRule::Cost { false_positive, false_negative } => {
            -(fp * false_positive + (positives - tp) * false_negative) / (positives + negatives)
        }
    };
    let highest = order.first().map_or(1.0, |row| data.probability[*row]);
    // Predicting no row positive is a choice too.
    let mut best = (merit(0.0, 0.0), between(1.0_f64.max(highest.next_up()), highest));
    let (mut tp, mut fp) = (0.0, 0.0);
    for (place, row) in order.iter().enumerate() {
        let weight = scores.weight(*row);
        if data.truth[*row] {
            tp += weight
        } else {
            fp += weight
        }
        let score = data.probability[*row];
        let next = order.get(place + 1).map(|row| data.probability[*row]);
        if next == Some(score) {
            continue;
        }
        let value = merit(tp, fp);
        if value > best.0 {
            best = (value, next.map_or(score, |next| between(score, next)));
        }
    }
    let value = if matches!(rule, ThresholdRule::F1) { best.0 } else { -best.0 };
    Ok(ThresholdChoice { threshold: best.1, value })
}

/// A number above `below` and at most `above`, midway if there is room.
fn between(above: f64, below: f64) -> f64 {
    let middle = 0.5 * (above + below);
    if middle > below { middle } else { above }
}
