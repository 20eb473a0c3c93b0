//! Seeds and generators: all randomness of the crate comes from one root seed (I8).

use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The generator in use: xoshiro256++ (Blackman and Vigna, 2019).
pub type Generator = Xoshiro256PlusPlus;

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Derives the seed of stream number `index` of `purpose` from a root seed.
///
/// The same three always give the same seed, and different ones give unrelated streams, so work that
/// is numbered can run in any order on any number of threads.
pub fn derive_seed(root: u64, purpose: &str, index: u64) -> u64 {
    // FNV-1a keeps purposes apart, SplitMix64 spreads them.
    let label = purpose
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let first = mix(root.wrapping_add(GOLDEN));
    let second = mix(first ^ label);
    mix(second.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN)))
}

/// The generator of stream number `index` of `purpose`.
pub fn generator(root: u64, purpose: &str, index: u64) -> Generator {
    Generator::seed_from_u64(derive_seed(root, purpose, index))
}

/// A uniform integer in `0..bound` without bias (Lemire, 2019); 0 when `bound` is 0.
pub fn below(generator: &mut impl RngCore, bound: u64) -> u64 {
    if bound == 0 {
        return 0;
    }
    let mut product = u128::from(generator.next_u64()) * u128::from(bound);
    if (product as u64) < bound {
        let least = bound.wrapping_neg() % bound;
        while (product as u64) < least {
            product = u128::from(generator.next_u64()) * u128::from(bound);
        }
    }
    (product >> 64) as u64
}

/// A uniform number in `[0, 1)` with 53 random bits.
pub fn uniform(generator: &mut impl RngCore) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Shuffles in place (Fisher and Yates).
pub fn shuffle<T>(generator: &mut impl RngCore, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(generator, last as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_never_change() {
        // Golden: a change here changes every interval ever reported.
        assert_eq!(derive_seed(0, "bootstrap", 0), 0x385d29427abe74bc);
        assert_eq!(generator(7, "bootstrap units", 3).next_u64(), 0x28e4d9ae0ccd822e);
        assert_ne!(derive_seed(0, "bootstrap", 0), derive_seed(0, "bootstrap", 1));
        assert_ne!(derive_seed(0, "bootstrap", 0), derive_seed(1, "bootstrap", 0));
        assert_ne!(derive_seed(0, "bootstrap", 0), derive_seed(0, "folds", 0));
    }

    #[test]
    fn below_is_uniform() {
        let mut generator = generator(7, "test", 0);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[below(&mut generator, 7) as usize] += 1;
        }
        // Six degrees of freedom: chi-square beyond 22.5 has probability 0.001.
        let chi2: f64 = counts.iter().map(|n| (f64::from(*n) - 10_000.0) * (f64::from(*n) - 10_000.0) / 10_000.0).sum();
        assert!(chi2 < 22.5, "{chi2}");
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        shuffle(&mut generator(3, "test", 0), &mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
