//! Linear scores: intercept, numeric terms, then one-hot terms, in the order of the message.

use crate::slots::SlotsView;
use crate::transform::{RowSlots, SlotShape};
use crate::{ModelError, proto};

use super::{bounded, numeric_slot};

#[derive(Debug, Clone)]
pub(super) struct Linear {
    intercept: Vec<f64>,
    terms: Vec<Term>,
    one_hot: Vec<Term>,
}

/// Coefficients of a slot: one row of `width` for a number, one per id for a category.
#[derive(Debug, Clone)]
struct Term {
    slot: usize,
    coefficient: Vec<f64>,
}

impl Linear {
    pub(super) fn compile(message: &proto::Linear, shape: &SlotShape) -> Result<Self, String> {
        let intercept = bounded(&message.intercept, "an intercept")?;
        let width = intercept.len();
        if width == 0 {
            return Err("has no intercept: write one per output".into());
        }
        let mut terms = Vec::with_capacity(message.terms.len());
        for (index, term) in message.terms.iter().enumerate() {
            if term.coefficient.len() != width {
                return Err(format!("has {} coefficients in term {index} for {width} outputs", term.coefficient.len()));
            }
            let coefficient = bounded(&term.coefficient, "a coefficient")?;
            terms.push(Term { slot: numeric_slot(term.slot, shape)?, coefficient });
        }
        let mut one_hot = Vec::with_capacity(message.one_hot.len());
        for (index, term) in message.one_hot.iter().enumerate() {
            let slot = term.category as usize;
            let ids =
                *shape.category_sizes.get(slot).ok_or_else(|| format!("reads category {slot}, which is not there"))?;
            if !term.coefficient.len().is_multiple_of(width) || term.coefficient.len() / width > ids {
                return Err(format!("has a one-hot table {index} that is not [ids][outputs]"));
            }
            one_hot.push(Term { slot, coefficient: bounded(&term.coefficient, "a coefficient")? });
        }
        Ok(Self { intercept, terms, one_hot })
    }

    pub(super) const fn width(&self) -> usize {
        self.intercept.len()
    }

    pub(super) fn multiplications(&self) -> u64 {
        (self.width() * self.terms.len()) as u64
    }

    pub(super) fn scores(&self, slots: &SlotsView<'_>) -> Result<Vec<f64>, ModelError> {
        let width = self.width();
        let mut scores = self.intercept.repeat(slots.rows());
        for term in &self.terms {
            for (row, value) in scores.chunks_exact_mut(width).zip(slots.numeric(term.slot)?) {
                term.add_number(*value, row);
            }
        }
        for term in &self.one_hot {
            for (row, id) in scores.chunks_exact_mut(width).zip(slots.category(term.slot)?) {
                term.add_category(*id, row);
            }
        }
        Ok(scores)
    }

    pub(super) fn row(&self, slots: &RowSlots, out: &mut Vec<f64>) {
        out.extend_from_slice(&self.intercept);
        for term in &self.terms {
            term.add_number(slots.numeric.get(term.slot).copied().unwrap_or(f32::NAN), out);
        }
        for term in &self.one_hot {
            term.add_category(slots.category.get(term.slot).copied().unwrap_or(u32::MAX), out);
        }
    }
}

impl Term {
    /// A missing value adds nothing.
    fn add_number(&self, value: f32, scores: &mut [f64]) {
        if !value.is_nan() {
            for (score, coefficient) in scores.iter_mut().zip(&self.coefficient) {
                *score += f64::from(value) * coefficient;
            }
        }
    }

    /// An id beyond the table adds nothing.
    fn add_category(&self, id: u32, scores: &mut [f64]) {
        let start = (id as usize).saturating_mul(scores.len());
        if let Some(row) = self.coefficient.get(start..) {
            for (score, coefficient) in scores.iter_mut().zip(row) {
                *score += coefficient;
            }
        }
    }
}
