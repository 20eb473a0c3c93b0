//! Ids of predictions: unique without a clock and without waiting.

use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives out prediction ids: sixteen digits that are the process's own, and a number.
#[derive(Debug)]
pub(crate) struct PredictionIds {
    prefix: String,
    seed: u64,
    next: AtomicU64,
}

impl PredictionIds {
    /// Ids of a new process. They are observations, never part of a result, so their randomness is not
    /// injected.
    pub(crate) fn new() -> Self {
        let seed = RandomState::new().hash_one("prediction");
        Self { prefix: format!("{seed:016x}-"), seed, next: AtomicU64::new(0) }
    }

    /// Takes numbers for `count` rows; gives the first.
    pub(crate) fn take(&self, count: usize) -> u64 {
        self.next.fetch_add(count as u64, Ordering::Relaxed)
    }

    /// Writes the id of a number.
    pub(crate) fn write(&self, out: &mut Vec<u8>, number: u64) {
        out.extend_from_slice(self.prefix.as_bytes());
        // Writing into a Vec does not fail.
        let _ = write!(out, "{number:x}");
    }

    /// The id of a number.
    pub(crate) fn text(&self, number: u64) -> String {
        format!("{}{number:x}", self.prefix)
    }

    /// The number spread evenly over 64 bits, differently in every process (finaliser of SplitMix64:
    /// Steele, Lea, Flood, 2014).
    pub(crate) fn mixed(&self, number: u64) -> u64 {
        let mut z = (number ^ self.seed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
