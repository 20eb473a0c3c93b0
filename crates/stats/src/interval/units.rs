//! Which rows depend on each other.

use std::collections::HashMap;
use std::hash::Hash;

use gristmill_types::Digest;

/// The unit of dependence of every row, as a number from 0 in order of first appearance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    of_row: Vec<u32>,
    count: usize,
}

impl Units {
    /// Every row on its own.
    pub fn rows(rows: usize) -> Self {
        Self { of_row: (0..rows as u32).collect(), count: rows }
    }

    /// Rows of equal labels belong together.
    pub fn from_labels<L: Hash + Eq>(labels: impl IntoIterator<Item = L>) -> Self {
        let mut seen: HashMap<L, u32> = HashMap::new();
        let of_row = labels
            .into_iter()
            .map(|label| {
                let next = seen.len() as u32;
                *seen.entry(label).or_insert(next)
            })
            .collect();
        Self { of_row, count: seen.len() }
    }

    /// Number of units.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.of_row.len()
    }

    /// Whether there is no row.
    pub const fn is_empty(&self) -> bool {
        self.of_row.is_empty()
    }

    /// Whether no two rows share a unit.
    pub const fn is_row(&self) -> bool {
        self.count == self.of_row.len()
    }

    /// Unit of each row.
    pub fn of_rows(&self) -> &[u32] {
        &self.of_row
    }

    /// The units of the rows `rows`, numbered anew; rows that do not exist are left out.
    pub fn take(&self, rows: &[usize]) -> Self {
        Self::from_labels(rows.iter().filter_map(|row| self.of_row.get(*row)))
    }

    /// Names the grouping, so that two sets of replicates can tell whether they are paired.
    pub(crate) fn digest(&self) -> Digest {
        let bytes: Vec<u8> = self.of_row.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        Digest::of(&bytes)
    }
}
