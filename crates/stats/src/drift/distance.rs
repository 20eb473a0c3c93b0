//! Distances between two counted distributions over the same bins.

/// Added to each count, so that an empty bin gives a finite index.
const HALF: f64 = 0.5;

/// Population stability index Σ (q − p) ln(q / p), the symmetrised Kullback-Leibler divergence (Jeffreys 1946; Siddiqi 2006).
///
/// `p` and `q` are the shares (c + ½) / (n + ½ k) of `before` and `after` over the k bins that are not
/// empty in both; 0 if either has no rows. Without drift its mean is about (k − 1)(1/n + 1/m).
pub fn psi(before: &[u64], after: &[u64]) -> f64 {
    let used = || before.iter().zip(after).filter(|(a, b)| **a > 0 || **b > 0);
    let pseudo = used().count() as f64 * HALF;
    let (n, m) = (total(before), total(after));
    if n == 0.0 || m == 0.0 {
        return 0.0;
    }
    used()
        .map(|(a, b)| {
            let (p, q) = ((*a as f64 + HALF) / (n + pseudo), (*b as f64 + HALF) / (m + pseudo));
            (q - p) * libm::log(q / p)
        })
        .sum()
}

/// Jensen-Shannon distance: the square root of the divergence to base 2 (Lin 1991; a metric by Endres and
/// Schindelin 2003). 0 for equal shares or if either has no rows, 1 for disjoint ones.
pub fn jensen_shannon(before: &[u64], after: &[u64]) -> f64 {
    let (n, m) = (total(before), total(after));
    if n == 0.0 || m == 0.0 {
        return 0.0;
    }
    let part = |share: f64, middle: f64| if share > 0.0 { share * libm::log2(share / middle) } else { 0.0 };
    let sum: f64 = before
        .iter()
        .zip(after)
        .map(|(a, b)| {
            let (p, q) = (*a as f64 / n, *b as f64 / m);
            let middle = f64::midpoint(p, q);
            part(p, middle) + part(q, middle)
        })
        .sum();
    (sum / 2.0).max(0.0).sqrt().min(1.0)
}

fn total(counts: &[u64]) -> f64 {
    counts.iter().sum::<u64>() as f64
}
