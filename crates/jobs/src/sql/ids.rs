//! Job ids that sort by submission, and random numbers for backoff.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gristmill_types::{JobId, Micros};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The ledger's randomness; seeded in tests.
#[derive(Debug)]
pub(super) struct Ids(Mutex<State>);

#[derive(Debug)]
struct State {
    random: StdRng,
    last: (u64, u128),
}

/// A ULID has 80 random bits; the top one starts as 0, so that counting up does not overflow.
const RANDOM_BITS: u32 = 80;

impl Ids {
    pub(super) fn new(seed: Option<u64>) -> Self {
        let random = seed.map_or_else(StdRng::from_entropy, StdRng::seed_from_u64);
        Self(Mutex::new(State { random, last: (0, 0) }))
    }

    /// A new id; of two made in the same millisecond (or after the clock went back) the later is greater.
    pub(super) fn job(&self, now: Micros) -> JobId {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let millis = u64::try_from(now / 1_000).unwrap_or(0);
        state.last = if millis > state.last.0 {
            (millis, state.random.r#gen::<u128>() >> (128 - RANDOM_BITS + 1))
        } else {
            (state.last.0, state.last.1 + 1)
        };
        JobId::new(state.last.0, state.last.1)
    }

    /// Full jitter: evenly between 0 and `first` doubled for every try after the first, at most `cap`.
    pub(super) fn backoff(&self, tries: u32, first: Duration, cap: Duration) -> Duration {
        let doubled = first.saturating_mul(1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX));
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        doubled.min(cap).mul_f64(state.random.r#gen::<f64>())
    }
}
