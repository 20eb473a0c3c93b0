//! Gaussian naive Bayes: joint log-likelihood per class (Hastie, Tibshirani, Friedman, The Elements of
//! Statistical Learning, 2nd ed., §6.6.3).

use crate::slots::SlotsView;
use crate::transform::{RowSlots, SlotShape};
use crate::{ModelError, proto};

use super::{bounded, numeric_slot};

#[derive(Debug, Clone)]
pub(super) struct NaiveBayes {
    slots: Vec<usize>,
    log_prior: Vec<f64>,
    /// `[slot][class]`.
    densities: Vec<Vec<Density>>,
}

/// One normal density, with the part that does not depend on the value worked out.
#[derive(Debug, Clone, Copy)]
struct Density {
    mean: f64,
    variance: f64,
    log_scale: f64,
}

impl NaiveBayes {
    pub(super) fn compile(message: &proto::NaiveBayes, shape: &SlotShape) -> Result<Self, String> {
        let slots = message.slots.iter().map(|slot| numeric_slot(*slot, shape)).collect::<Result<Vec<_>, _>>()?;
        let log_prior = bounded(&message.log_prior, "a log prior")?;
        let cells = slots.len() * log_prior.len();
        if log_prior.is_empty() || message.mean.len() != cells || message.variance.len() != cells {
            return Err("needs a prior per class and a mean and variance per class and slot".into());
        }
        let mean = bounded(&message.mean, "a mean")?;
        let variance = bounded(&message.variance, "a variance")?;
        if variance.iter().any(|variance| *variance <= 0.0) {
            return Err("has a variance that is not positive".into());
        }
        let density = |class: usize, slot: usize| {
            let cell = class * slots.len() + slot;
            let log_scale = -0.5 * libm::log(2.0 * std::f64::consts::PI * variance[cell]);
            Density { mean: mean[cell], variance: variance[cell], log_scale }
        };
        let densities =
            (0..slots.len()).map(|slot| (0..log_prior.len()).map(|class| density(class, slot)).collect()).collect();
        Ok(Self { slots, log_prior, densities })
    }

    pub(super) const fn width(&self) -> usize {
        self.log_prior.len()
    }

    pub(super) const fn multiplications(&self) -> u64 {
        (self.slots.len() * self.log_prior.len() * 3) as u64
    }

    pub(super) fn scores(&self, slots: &SlotsView<'_>) -> Result<Vec<f64>, ModelError> {
        let mut scores = self.log_prior.repeat(slots.rows());
        for (slot, densities) in self.slots.iter().zip(&self.densities) {
            for (row, value) in scores.chunks_exact_mut(self.width()).zip(slots.numeric(*slot)?) {
                add(*value, densities, row);
            }
        }
        Ok(scores)
    }

    pub(super) fn row(&self, slots: &RowSlots, out: &mut Vec<f64>) {
        out.extend_from_slice(&self.log_prior);
        for (slot, densities) in self.slots.iter().zip(&self.densities) {
            add(slots.numeric.get(*slot).copied().unwrap_or(f32::NAN), densities, out);
        }
    }
}

/// Adds one slot's log densities; a missing value is integrated out, which adds nothing.
fn add(value: f32, densities: &[Density], scores: &mut [f64]) {
    if !value.is_nan() {
        for (score, density) in scores.iter_mut().zip(densities) {
            let away = f64::from(value) - density.mean;
            *score += density.log_scale - 0.5 * (away * away) / density.variance;
        }
    }
}
