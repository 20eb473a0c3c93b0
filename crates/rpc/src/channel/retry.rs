//! When a call is sent again: the rpc may be repeated, the answer was UNAVAILABLE, and the budget allows.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// First and longest pause before a retry.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A server that asks for a longer pause than this gets none: the caller is told instead.
const LONGEST_WISH: Duration = Duration::from_secs(30);

/// Tenths of a token: full, the price of a failure, the reward of a success (gRPC's retry throttling,
/// gRFC A6). Retries stop while less than half is left, so a broken server is not called four times as
/// often as a sound one.
const FULL: i64 = 200;
const FAILURE: i64 = 10;
const SUCCESS: i64 = 2;

/// What a channel has left for retries.
#[derive(Debug)]
pub(super) struct Budget(AtomicI64);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicI64::new(FULL))
    }
}

impl Budget {
    pub(super) fn success(&self) {
        self.change(SUCCESS);
    }

    /// Notes a failure; whether a retry is allowed.
    pub(super) fn failure(&self) -> bool {
        self.change(-FAILURE) > FULL / 2
    }

    fn change(&self, by: i64) -> i64 {
        let next = |left: i64| (left + by).clamp(0, FULL);
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(next(left)));
        next(before.unwrap_or_else(|left| left))
    }
}

/// The pause before the retry number `retry` (from 0): doubled each time, half of it at random, and not
/// less than the server asked for. `None` when it asked for more than anybody would wait.
pub(super) fn pause(retry: u32, wish: Option<Duration>) -> Option<Duration> {
    let own = jittered(PAUSE.0.saturating_mul(1 << retry.min(16)).min(PAUSE.1));
    match wish {
        Some(wish) if wish > LONGEST_WISH => None,
        // At least what was asked for, and not everybody at the same moment.
        Some(wish) => Some(wish + own / 4),
        None => Some(own),
    }
}

/// Between half of `pause` and all of it. Never part of a result, so it needs no injected randomness (I8).
pub(super) fn jittered(pause: Duration) -> Duration {
    static PROCESS: OnceLock<RandomState> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let random = PROCESS.get_or_init(RandomState::new).hash_one(NEXT.fetch_add(1, Ordering::Relaxed));
    pause / 2 + (pause / 2).mul_f64((random >> 11) as f64 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_only_fails_soon_gets_no_retries_and_earns_them_back() {
        let budget = Budget::default();
        let allowed = (0..100).filter(|_| budget.failure()).count();
        assert_eq!(allowed, 9, "half the budget, a failure a token");
        for _ in 0..60 {
            budget.success();
        }
        assert!(budget.failure());
    }

    #[test]
    fn pauses_grow_with_jitter_up_to_a_bound_and_obey_the_server() {
        for retry in 0..40 {
            let pause = pause(retry, None).unwrap();
            let full = PAUSE.0.saturating_mul(1 << retry.min(16)).min(PAUSE.1);
            assert!(pause >= full / 2 && pause <= full, "{retry}: {pause:?}");
        }
        let different: std::collections::BTreeSet<_> = (0..20).map(|_| pause(3, None)).collect();
        assert!(different.len() > 10);
        let wish = Duration::from_secs(2);
        assert!(pause(0, Some(wish)).unwrap() >= wish);
        assert_eq!(pause(0, Some(Duration::from_secs(31))), None);
    }
}
