//! Distances without drift: each window of the reference against the rest of it.

use super::distance::{jensen_shannon, psi};
use super::window::{Window, Windows};
use crate::special;

/// How far an extrapolated threshold may exceed the largest distance of the reference itself.
const BEYOND: f64 = 1.5;

/// Running counts: entry `unit × bins + bin` is the number of rows of that bin in all units before `unit`.
struct Running {
    bins: usize,
    counts: Vec<u32>,
}

impl Running {
    fn new(codes: &[u32], bins: usize, windows: &Windows, kept: Option<&[bool]>) -> Self {
        let mut counts = vec![0_u32; (windows.units + 1) * bins];
        for (row, (code, unit)) in codes.iter().zip(&windows.unit_of).enumerate() {
            if kept.is_none_or(|kept| kept.get(row) == Some(&true))
                && let Some(count) = counts.get_mut((*unit as usize + 1) * bins + *code as usize)
            {
                *count += 1;
            }
        }
        for place in bins..counts.len() {
            let before = counts.get(place - bins).copied().unwrap_or(0);
            if let Some(count) = counts.get_mut(place) {
                *count += before;
            }
        }
        Self { bins, counts }
    }

    /// Rows per bin before `unit`.
    fn before(&self, unit: u32) -> &[u32] {
        let from = unit as usize * self.bins;
        self.counts.get(from..from + self.bins).unwrap_or_default()
    }

    fn sum(&self, ranges: &[(u32, u32)]) -> Vec<u64> {
        let mut sum = vec![0_u64; self.bins];
        for (from, to) in ranges {
            for ((sum, low), high) in sum.iter_mut().zip(self.before(*from)).zip(self.before(*to)) {
                *sum += u64::from(high - low);
            }
        }
        sum
    }
}

/// The null quantiles at `level` of PSI and of the Jensen-Shannon distance.
///
/// Each is the larger of two: the quantile over resampled blocks, and the largest of any run of
/// consecutive units, so that a stretch like one the reference itself had is never called drift.
pub(super) fn thresholds(codes: &[u32], bins: usize, windows: &Windows, level: f64) -> (f64, f64) {
    let all = Running::new(codes, bins, windows, None);
    let thinned: Vec<Option<Running>> = windows
        .thinnings
        .iter()
        .map(|kept| kept.as_ref().map(|kept| Running::new(codes, bins, windows, Some(kept))))
        .collect();
    let total = all.sum(&[(0, windows.units as u32)]);
    let distances = |window: &Window| {
        let source = thinned.get(window.thinning).and_then(Option::as_ref).unwrap_or(&all);
        let inside = source.sum(&window.drawn);
        let set = all.sum(&window.set);
        let rest: Vec<u64> = total.iter().zip(&set).map(|(total, set)| total - set).collect();
        (psi(&rest, &inside), jensen_shannon(&rest, &inside))
    };
    let (index, distance): (Vec<f64>, Vec<f64>) = windows.drawn.iter().map(distances).unzip();
    let most = windows.runs.iter().map(distances).fold((0.0_f64, 0.0_f64), |m, d| (m.0.max(d.0), m.1.max(d.1)));
    (quantile(index, level).max(most.0), quantile(distance, level).max(most.1).min(1.0))
}

/// The conservative quantile: the order statistic that a further exchangeable value exceeds with at most
/// 1 − `level`. Where there are too few values for that, the tail of a log-normal fitted to them goes on, but
/// never beyond [`BEYOND`] times the largest: what was never nearly seen is not extrapolated into silence.
fn quantile(mut values: Vec<f64>, level: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let place = libm::ceil(level * (values.len() + 1) as f64) as usize;
    if let Some(found) = place.checked_sub(1).and_then(|place| values.get(place)) {
        return *found;
    }
    let largest = values.last().copied().unwrap_or(0.0);
    let logs: Vec<f64> = values.iter().map(|v| libm::log(v.max(1e-12))).collect();
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let spread = (logs.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (count - 1.0).max(1.0)).sqrt();
    let tail = libm::exp(mean + spread * special::normal_quantile(level));
    if tail.is_finite() { tail.clamp(largest, BEYOND * largest) } else { largest }
}
