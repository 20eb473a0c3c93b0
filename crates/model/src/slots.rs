//! Transformed rows: one vector per slot, owned or borrowed.

use crate::ModelError;

/// Transformed rows. Numeric slots are f32 with NaN for missing, category slots are ids with 0 for
/// missing and 1 for unknown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Slots {
    /// Number of rows.
    pub rows: usize,
    /// `numeric[slot][row]`.
    pub numeric: Vec<Vec<f32>>,
    /// `category[slot][row]`.
    pub category: Vec<Vec<u32>>,
}

impl Slots {
    /// Lends the slots to a predictor.
    pub fn view(&self) -> SlotsView<'_> {
        SlotsView {
            rows: self.rows,
            numeric: self.numeric.iter().map(|slot| Some(slot.as_slice())).collect(),
            category: self.category.iter().map(|slot| Some(slot.as_slice())).collect(),
        }
    }
}

/// Transformed rows whose vectors belong to somebody else, such as training's matrices.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SlotsView<'a> {
    rows: usize,
    numeric: Vec<Option<&'a [f32]>>,
    category: Vec<Option<&'a [u32]>>,
}

impl<'a> SlotsView<'a> {
    /// Takes one slice per slot, in slot order; `None` for a slot that is not there, which is an error
    /// only for a predictor that reads it.
    ///
    /// # Errors
    /// [`ModelError::Slots`] if a slice does not have `rows` values.
    pub fn new(
        rows: usize,
        numeric: Vec<Option<&'a [f32]>>,
        category: Vec<Option<&'a [u32]>>,
    ) -> Result<Self, ModelError> {
        let lengths = numeric.iter().flatten().map(|s| s.len()).chain(category.iter().flatten().map(|s| s.len()));
        for length in lengths {
            if length != rows {
                return Err(ModelError::Slots(format!("a slot has {length} values for {rows} rows")));
            }
        }
        Ok(Self { rows, numeric, category })
    }

    /// Number of rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Values of numeric slot `slot`.
    ///
    /// # Errors
    /// [`ModelError::Slots`] if it is not there.
    pub fn numeric(&self, slot: usize) -> Result<&'a [f32], ModelError> {
        let found = self.numeric.get(slot).copied().flatten();
        found.ok_or_else(|| ModelError::Slots(format!("numeric slot {slot} is not there")))
    }

    /// Ids of category slot `slot`.
    ///
    /// # Errors
    /// [`ModelError::Slots`] if it is not there.
    pub fn category(&self, slot: usize) -> Result<&'a [u32], ModelError> {
        let found = self.category.get(slot).copied().flatten();
        found.ok_or_else(|| ModelError::Slots(format!("category slot {slot} is not there")))
    }
}
