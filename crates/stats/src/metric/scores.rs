//! Truth and scores of the same rows, checked once.

use super::{MetricError, Sum, Task};

/// How far the probabilities of a row may sum from 1.
const SUM_TOLERANCE: f64 = 1e-6;

/// True values and scores of the same rows, with optional weights, checked: no NaN, equal lengths, at least one row of
/// positive weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    data: Data,
    weights: Option<Vec<f64>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Binary(Binary),
    Multiclass(Multiclass),
    Regression(Regression),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binary {
    pub(crate) truth: Vec<bool>,
    pub(crate) probability: Vec<f64>,
    pub(crate) threshold: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Multiclass {
    pub(crate) truth: Vec<u32>,
    /// Row-major, `classes` per row.
    pub(crate) probabilities: Vec<f64>,
    pub(crate) classes: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Regression {
    pub(crate) truth: Vec<f64>,
    pub(crate) predicted: Vec<f64>,
}

impl Multiclass {
    /// Index of the greatest probability of each row, the first of equals.
    pub(crate) fn predicted(&self) -> Vec<u32> {
        let best = |row: &[f64]| {
            let mut best = 0;
            for (class, p) in row.iter().enumerate() {
                if *p > row[best] {
                    best = class;
                }
            }
            // Bounded by `classes`, which fits u32 (checked in `Scores::multiclass`).
            best as u32
        };
        self.probabilities.chunks_exact(self.classes).map(best).collect()
    }
}

fn same_length(what: &'static str, found: usize, expected: usize) -> Result<(), MetricError> {
    if found == expected { Ok(()) } else { Err(MetricError::Length { what, found, expected }) }
}

fn all(what: &'static str, values: &[f64], need: &'static str, good: impl Fn(f64) -> bool) -> Result<(), MetricError> {
    match values.iter().position(|value| !good(*value)) {
        None => Ok(()),
        Some(row) => Err(MetricError::Value { what, row, value: values[row], need }),
    }
}

const PROBABILITY: &str = "a probability is a number from 0 to 1";

impl Scores {
    /// Scores of a binary task: whether the row is positive, and the probability of that. A row is predicted positive
    /// from `threshold` up.
    ///
    /// # Errors
    /// [`MetricError`] if lengths differ, there is no row, or a number is out of range.
    pub fn binary(truth: Vec<bool>, probability: Vec<f64>, threshold: f64) -> Result<Self, MetricError> {
        if truth.is_empty() {
            return Err(MetricError::Empty);
        }
        same_length("the probability", probability.len(), truth.len())?;
        all("the probability", &probability, PROBABILITY, |p| (0.0..=1.0).contains(&p))?;
        if threshold.is_nan() {
            return Err(MetricError::Value {
                what: "the threshold",
                row: 0,
                value: threshold,
                need: "a threshold is a number",
            });
        }
        Ok(Self { data: Data::Binary(Binary { truth, probability, threshold }), weights: None })
    }

    /// Scores of a multiclass task: the true class of each row and `classes` probabilities per row, row-major.
    ///
    /// # Errors
    /// [`MetricError`] if lengths differ, there is no row, a class is out of range, a number is no probability or the
    /// probabilities of a row do not sum to 1.
    pub fn multiclass(truth: Vec<u32>, probabilities: Vec<f64>, classes: usize) -> Result<Self, MetricError> {
        if truth.is_empty() {
            return Err(MetricError::Empty);
        }
        if classes < 2 {
            return Err(MetricError::OneClass);
        }
        let expected = truth.len().saturating_mul(classes);
        same_length("the table of probabilities", probabilities.len(), expected)?;
        if let Some(row) = truth.iter().position(|class| *class as usize >= classes) {
            return Err(MetricError::Class { row, class: truth[row], classes });
        }
        all("a probability", &probabilities, PROBABILITY, |p| (0.0..=1.0).contains(&p)).map_err(
            |error| match error {
                MetricError::Value { what, row, value, need } => {
                    MetricError::Value { what, row: row / classes, value, need }
                }
                other => other,
            },
        )?;
        for (row, values) in probabilities.chunks_exact(classes).enumerate() {
            let value: f64 = values.iter().sum();
            if (value - 1.0).abs() > SUM_TOLERANCE {
                let need = "the probabilities of a row sum to 1";
                return Err(MetricError::Value { what: "the sum of probabilities", row, value, need });
            }
        }
        Ok(Self { data: Data::Multiclass(Multiclass { truth, probabilities, classes }), weights: None })
    }

    /// Scores of a regression task: the true and the predicted number of each row.
    ///
    /// # Errors
    /// [`MetricError`] if lengths differ, there is no row, or a number is not finite.
    pub fn regression(truth: Vec<f64>, predicted: Vec<f64>) -> Result<Self, MetricError> {
        if truth.is_empty() {
            return Err(MetricError::Empty);
        }
        same_length("the prediction", predicted.len(), truth.len())?;
        let need = "a finite number is needed";
        all("the true value", &truth, need, f64::is_finite)?;
        all("the prediction", &predicted, need, f64::is_finite)?;
        Ok(Self { data: Data::Regression(Regression { truth, predicted }), weights: None })
    }

    /// Gives every row a weight.
    ///
    /// # Errors
    /// [`MetricError`] if lengths differ, a weight is negative or not finite, or all are zero.
    pub fn with_weights(mut self, weights: Vec<f64>) -> Result<Self, MetricError> {
        same_length("the weight", weights.len(), self.rows())?;
        all("the weight", &weights, "a weight is a finite number, 0 or more", |w| w.is_finite() && w >= 0.0)?;
        if weights.iter().all(|w| *w == 0.0) {
            return Err(MetricError::NoWeight);
        }
        self.weights = Some(weights);
        Ok(self)
    }

    /// The task.
    pub const fn task(&self) -> Task {
        match &self.data {
            Data::Binary(_) => Task::Binary,
            Data::Multiclass(_) => Task::Multiclass,
            Data::Regression(_) => Task::Regression,
        }
    }

    /// Number of rows, at least one.
    pub const fn rows(&self) -> usize {
        match &self.data {
            Data::Binary(data) => data.truth.len(),
            Data::Multiclass(data) => data.truth.len(),
            Data::Regression(data) => data.truth.len(),
        }
    }

    /// Weight of row `row`; 1 when the rows have no weights.
    pub fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights.get(row).copied().unwrap_or(0.0))
    }

    /// Sum of the weights.
    pub fn total_weight(&self) -> f64 {
        (0..self.rows()).map(|row| self.weight(row)).collect::<Sum>().value()
    }

    /// Scores of the same rows by the best constant predictor: the share of each class, or the mean, of these very rows.
    /// A model that is not better than this has learned nothing; the constant is even told the truth about the mean.
    ///
    /// # Errors
    /// None for checked scores in practice; passes on what the checks say.
    pub fn constant_baseline(&self) -> Result<Self, MetricError> {
        let total = self.total_weight();
        let rows = self.rows();
        let mean_of = |value: &dyn Fn(usize) -> f64| {
            (0..rows).map(|row| self.weight(row) * value(row)).collect::<Sum>().value() / total
        };
        let made = match &self.data {
            Data::Binary(data) => {
                let rate = mean_of(&|row| f64::from(u8::from(data.truth[row]))).clamp(0.0, 1.0);
                Self::binary(data.truth.clone(), vec![rate; rows], data.threshold)
            }
            Data::Multiclass(data) => {
                let share = |class: usize| mean_of(&|row| f64::from(u8::from(data.truth[row] as usize == class)));
                let shares: Vec<f64> = (0..data.classes).map(|class| share(class).clamp(0.0, 1.0)).collect();
                Self::multiclass(data.truth.clone(), shares.repeat(rows), data.classes)
            }
            Data::Regression(data) => {
                let mean = mean_of(&|row| data.truth[row]);
                Self::regression(data.truth.clone(), vec![mean; rows])
            }
        }?;
        Ok(Self { weights: self.weights.clone(), ..made })
    }

    pub(crate) const fn data(&self) -> &Data {
        &self.data
    }
}
