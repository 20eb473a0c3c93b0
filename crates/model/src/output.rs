//! From scores to what the caller gets: link, calibration, threshold, labels.

use std::sync::Arc;

use gristmill_types::Limits;

use crate::predictions::Predictions;
use crate::{ModelError, proto};

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// A number.
    Regression,
    /// One of two labels.
    Binary,
    /// One of several labels.
    Multiclass,
}

/// What turns scores into probabilities or values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// The score is the value (regression).
    Identity,
    /// e to the score (regression).
    Exp,
    /// Logistic of each score; of several, divided by their sum (one against the rest).
    Logistic,
    /// Softmax of the scores.
    Softmax,
    /// The scores are probabilities, up to their sum.
    Probability,
}

/// Checked output of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    task: Task,
    link: Link,
    labels: Arc<[String]>,
    threshold: f64,
    calibration: Option<Calibration>,
}

/// A monotone correction of the positive class's probability.
#[derive(Debug, Clone, PartialEq)]
pub enum Calibration {
    /// p' = logistic(slope × logit(p) + intercept), p kept within [1e-15, 1 − 1e-15] (Platt, 1999).
    Platt {
        /// Slope.
        slope: f64,
        /// Intercept.
        intercept: f64,
    },
    /// Linear between the points, constant beyond them (Zadrozny and Elkan, 2002).
    Isotonic {
        /// Ascending probabilities.
        x: Vec<f64>,
        /// Calibrated probabilities, never falling.
        y: Vec<f64>,
    },
}

impl Output {
    /// Checks the message.
    ///
    /// # Errors
    /// [`ModelError::Invalid`]: a link that does not suit the task, wrong or repeated labels, a threshold
    /// outside [0, 1], a calibration that is not monotone or not of a binary task.
    pub fn compile(message: &proto::Output) -> Result<Self, ModelError> {
        let invalid = |at: &str, reason: &str| ModelError::invalid(format!("output.{at}"), reason);
        let task = match proto::output::Task::try_from(message.task) {
            Ok(proto::output::Task::Regression) => Task::Regression,
            Ok(proto::output::Task::Binary) => Task::Binary,
            Ok(proto::output::Task::Multiclass) => Task::Multiclass,
            Ok(proto::output::Task::Unspecified) | Err(_) => return Err(invalid("task", "is not known")),
        };
        let link = Link::compile(message.link, "output.link")?;
        let labels = &message.labels;
        let fits = match task {
            Task::Regression => labels.is_empty(),
            Task::Binary => labels.len() == 2,
            Task::Multiclass => (2..=Limits::DEFAULT.categories).contains(&labels.len()),
        };
        if !fits {
            return Err(invalid("labels", "need to be none for regression, two for binary, 2 to 1,024 for multiclass"));
        }
        let mut sorted: Vec<&String> = labels.iter().collect();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(invalid("labels", "repeat one another"));
        }
        // Also refuses NaN.
        if !(0.0..=1.0).contains(&message.threshold) {
            return Err(invalid("threshold", "is not within 0 and 1"));
        }
        let calibration = message.calibration.as_ref().and_then(|message| message.calibration.as_ref());
        let calibration = calibration.map(Calibration::compile).transpose()?;
        if calibration.is_some() && task != Task::Binary {
            return Err(invalid("calibration", "is for a binary task only"));
        }
        Ok(Self { task, link, labels: labels.as_slice().into(), threshold: message.threshold, calibration })
    }

    /// What is predicted.
    pub const fn task(&self) -> Task {
        self.task
    }

    /// The link of the whole predictor.
    pub const fn link(&self) -> Link {
        self.link
    }

    /// Labels in the order of the probabilities; the last of two is the positive class.
    pub const fn labels(&self) -> &Arc<[String]> {
        &self.labels
    }

    /// Probability of the positive class from which it is predicted.
    pub const fn threshold(&self) -> f64 {
        self.threshold
    }

    /// The correction of the positive probability.
    pub const fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// Turns row-major scores into predictions.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] if the scores are not `rows` × a width that the link can read.
    pub fn finish(&self, rows: usize, scores: &[f64]) -> Result<Predictions, ModelError> {
        let mut predictions = Predictions::with_capacity(self, rows);
        let Some(width) = scores.len().checked_div(rows) else { return Ok(predictions) };
        self.check_width(self.link, width, "scores")?;
        let mut units = Vec::with_capacity(self.units());
        for row in scores.chunks_exact(width) {
            self.units_of(self.link, row, &mut units);
            predictions.push(self, &units);
        }
        Ok(predictions)
    }

    /// Numbers that a row's scores come to: a value, the positive probability, or all probabilities.
    pub(crate) fn units(&self) -> usize {
        if self.task == Task::Multiclass { self.labels.len() } else { 1 }
    }

    /// Whether `link` can read `width` scores per row for this task.
    pub(crate) fn check_width(&self, link: Link, width: usize, at: &str) -> Result<(), ModelError> {
        let fits = match (self.task, link) {
            (Task::Regression, Link::Identity | Link::Exp) => width == 1,
            (Task::Binary, Link::Logistic) => width == 1,
            (Task::Binary, Link::Softmax) => width == 2,
            (Task::Binary, Link::Probability) => width == 1 || width == 2,
            (Task::Multiclass, Link::Logistic | Link::Softmax | Link::Probability) => width == self.labels.len(),
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let task = self.task;
        Err(ModelError::invalid(at, format!("cannot turn {width} scores by {link:?} into a {task:?} prediction")))
    }

    /// Applies a link; the widths were checked.
    pub(crate) fn units_of(&self, link: Link, scores: &[f64], units: &mut Vec<f64>) {
        units.clear();
        units.extend_from_slice(scores);
        match link {
            Link::Identity => {}
            Link::Exp => units.iter_mut().for_each(|unit| *unit = libm::exp(*unit).min(f64::MAX)),
            Link::Logistic => units.iter_mut().for_each(|unit| *unit = logistic(*unit)),
            Link::Softmax => softmax(units),
            Link::Probability => units.iter_mut().for_each(|unit| *unit = unit.clamp(0.0, 1.0)),
        }
        if units.len() > 1 {
            normalise(units);
        }
        if self.task == Task::Binary && units.len() == 2 {
            units.swap_remove(0);
        }
    }

    /// The positive probability after calibration.
    pub(crate) fn calibrated(&self, p: f64) -> f64 {
        self.calibration.as_ref().map_or(p, |calibration| calibration.apply(p))
    }
}

impl Link {
    pub(crate) fn compile(number: i32, at: &str) -> Result<Self, ModelError> {
        use proto::output::Link as P;
        match P::try_from(number) {
            Ok(P::Identity) => Ok(Self::Identity),
            Ok(P::Exp) => Ok(Self::Exp),
            Ok(P::Logistic) => Ok(Self::Logistic),
            Ok(P::Softmax) => Ok(Self::Softmax),
            Ok(P::Probability) => Ok(Self::Probability),
            Ok(P::Unspecified) | Err(_) => Err(ModelError::invalid(at, "has no known link")),
        }
    }
}

impl Calibration {
    fn compile(message: &proto::calibration::Calibration) -> Result<Self, ModelError> {
        let invalid = |reason: &str| ModelError::invalid("output.calibration", reason);
        match message {
            proto::calibration::Calibration::Platt(platt) => {
                if platt.slope.abs() <= 1e6 && platt.intercept.abs() <= 1e6 {
                    Ok(Self::Platt { slope: platt.slope, intercept: platt.intercept })
                } else {
                    Err(invalid("has a slope or intercept that is not a number up to a million"))
                }
            }
            proto::calibration::Calibration::Isotonic(isotonic) => {
                let (x, y) = (&isotonic.x, &isotonic.y);
                let probabilities = x.iter().chain(y).all(|p| (0.0..=1.0).contains(p));
                let ascending = x.windows(2).all(|pair| pair[0] < pair[1]) && y.windows(2).all(|p| p[0] <= p[1]);
                if x.is_empty() || x.len() != y.len() || !probabilities || !ascending {
                    return Err(invalid("needs as many x as y, within 0 and 1, x rising and y never falling"));
                }
                Ok(Self::Isotonic { x: x.clone(), y: y.clone() })
            }
        }
    }

    /// The calibrated probability.
    pub fn apply(&self, p: f64) -> f64 {
        match self {
            Self::Platt { slope, intercept } => {
                let p = p.clamp(1e-15, 1.0 - 1e-15);
                logistic(slope * (libm::log(p) - libm::log1p(-p)) + intercept)
            }
            Self::Isotonic { x, y } => interpolate(x, y, p),
        }
    }
}

/// 1 / (1 + e^−x) without overflow.
pub fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let e = libm::exp(x);
        e / (1.0 + e)
    }
}

fn softmax(scores: &mut [f64]) {
    let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|score| *score = libm::exp(*score - greatest));
}

/// Divides by the sum; nothing at all becomes equal shares.
fn normalise(shares: &mut [f64]) {
    let sum = shares.iter().fold(0.0, |sum, share| sum + share);
    let equal = 1.0 / shares.len() as f64;
    shares.iter_mut().for_each(|share| *share = if sum > 0.0 { *share / sum } else { equal });
}

fn interpolate(x: &[f64], y: &[f64], at: f64) -> f64 {
    let above = x.partition_point(|point| *point <= at);
    let below = above.checked_sub(1);
    let low = below.and_then(|below| Some((x.get(below)?, y.get(below)?)));
    match (low, x.get(above).zip(y.get(above))) {
        (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * ((at - x0) / (x1 - x0)),
        (Some((_, y)), None) | (None, Some((_, y))) => *y,
        (None, None) => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isotonic_is_linear_between_points_and_constant_beyond() {
        let calibration = Calibration::Isotonic { x: vec![0.2, 0.4, 0.8], y: vec![0.1, 0.3, 0.3] };
        for (p, expected) in [(0.0, 0.1), (0.2, 0.1), (0.3, 0.2), (0.4, 0.3), (0.6, 0.3), (1.0, 0.3)] {
            assert!((calibration.apply(p) - expected).abs() < 1e-15, "{p}");
        }
    }

    #[test]
    fn platt_with_slope_one_changes_nothing_and_stays_finite_at_the_ends() {
        let calibration = Calibration::Platt { slope: 1.0, intercept: 0.0 };
        for p in [1e-9, 0.25, 0.5, 0.999] {
            assert!((calibration.apply(p) - p).abs() < 1e-15);
        }
        assert!(calibration.apply(0.0) > 0.0 && calibration.apply(1.0) < 1.0);
    }

    #[test]
    fn extreme_scores_have_probabilities() {
        assert_eq!(logistic(-1e300), 0.0);
        assert_eq!(logistic(1e300), 1.0);
        let mut scores = vec![-1e300, -1e300, -1e300];
        softmax(&mut scores);
        normalise(&mut scores);
        assert_eq!(scores, [1.0 / 3.0; 3]);
    }
}
