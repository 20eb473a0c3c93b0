//! Moments, quantiles and histograms of numbers.

use gristmill_types::Column;

use super::{ColumnProfile, Histogram, Quantiles, count};

/// Rows summed before sums are summed: the order of additions never depends on threads.
const CHUNK: usize = 1024;

/// The powers of ten that f64 holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Value of a decimal, rounded once to the nearest f64.
pub(crate) fn decimal(unscaled: i128, scale: u32) -> f64 {
    // Both sides exact: the division rounds once.
    if let Some(power) = POWERS.get(scale as usize)
        && unscaled.unsigned_abs() < 1 << 53
    {
        return unscaled as f64 / power;
    }
    // Else text is the one exact road: dividing would round twice.
    format!("{unscaled}e-{scale}").parse().unwrap_or(f64::NAN)
}

/// Counts NaN and infinities; gives the other values sorted, infinities at the ends, −0 as 0.
pub(super) fn floats(result: &mut ColumnProfile, column: &Column, values: &[f64]) -> Vec<f64> {
    let mut kept = count::present(column, values);
    let all = kept.len();
    kept.retain(|v| !v.is_nan());
    result.nan = (all - kept.len()) as u64;
    result.infinite = kept.iter().filter(|v| v.is_infinite()).count() as u64;
    for value in &mut kept {
        *value += 0.0;
    }
    kept.sort_unstable_by(f64::total_cmp);
    kept
}

/// The finite middle of sorted values.
pub(super) fn finite(sorted: &[f64]) -> &[f64] {
    let from = sorted.partition_point(|v| *v == f64::NEG_INFINITY);
    let to = sorted.partition_point(|v| *v < f64::INFINITY);
    sorted.get(from..to).unwrap_or_default()
}

/// Moments, quantiles, signs and the histogram of sorted finite values.
pub(super) fn describe(result: &mut ColumnProfile, sorted: &[f64], bins: usize) {
    let below = sorted.partition_point(|v| *v < 0.0);
    result.negative = below as u64;
    result.zeros = (sorted.partition_point(|v| *v <= 0.0) - below) as u64;
    if sorted.is_empty() {
        return;
    }
    let (mean, std) = moments(sorted);
    result.mean = Some(mean).filter(|v| v.is_finite());
    result.std = std.filter(|v| v.is_finite());
    let at = |share: f64| quantile(sorted, share).unwrap_or(f64::NAN);
    result.quantiles = Some(Quantiles {
        p01: at(0.01),
        p05: at(0.05),
        p25: at(0.25),
        p50: at(0.5),
        p75: at(0.75),
        p95: at(0.95),
        p99: at(0.99),
    });
    result.histogram = histogram(sorted, bins);
}

/// Mean and standard deviation in two passes.
fn moments(values: &[f64]) -> (f64, Option<f64>) {
    let rows = values.len() as f64;
    let mean = chunked(values, |v| v) / rows;
    // The second pass also corrects the rounding of the first (Chan, Golub and LeVeque, 1983).
    let rest = chunked(values, |v| v - mean);
    let squares = chunked(values, |v| (v - mean) * (v - mean));
    let variance = (squares - rest * rest / rows) / (rows - 1.0);
    (mean + rest / rows, (values.len() > 1).then(|| variance.max(0.0).sqrt()))
}

/// Sums of chunks, summed in order.
pub(crate) fn chunked(values: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    values.chunks(CHUNK).map(|chunk| chunk.iter().map(|v| term(*v)).sum::<f64>()).sum()
}

/// The quantile of sorted values by Hyndman and Fan's definition 7; none of no values.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = (sorted.len().checked_sub(1)?) as f64 * share.clamp(0.0, 1.0);
    let (low, part) = (place.floor(), place - place.floor());
    let a = *sorted.get(low as usize)?;
    let b = *sorted.get(low as usize + 1).unwrap_or(&a);
    Some(if part == 0.0 || a == b { a } else { a + (b - a) * part })
}

/// Counts in `bins` bins of equal width over sorted values, as `numpy.histogram` does.
pub(super) fn histogram(sorted: &[f64], bins: usize) -> Option<Histogram> {
    let (mut low, mut high) = (*sorted.first()?, *sorted.last()?);
    if low == high {
        (low, high) = (low - 0.5, high + 0.5);
    }
    let step = (high - low) / bins as f64;
    let mut edges: Vec<f64> = (0..bins).map(|n| n as f64 * step + low).collect();
    edges.push(high);
    // Too wide for f64, or too narrow at this size: there is nothing to draw.
    if bins == 0 || !step.is_finite() || edges.windows(2).any(|pair| matches!(pair, [a, b] if a >= b)) {
        return None;
    }
    let mut counts = Vec::with_capacity(bins);
    let mut done = 0;
    for edge in edges.iter().skip(1).take(bins - 1) {
        let to = sorted.partition_point(|v| v < edge);
        counts.push((to - done) as u64);
        done = to;
    }
    counts.push((sorted.len() - done) as u64);
    Some(Histogram { edges, counts })
}
