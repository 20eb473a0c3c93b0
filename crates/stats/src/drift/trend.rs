//! Columns that follow the order of the units: later windows differ by construction.

use gristmill_types::Column;

use crate::profile::numbers;

/// From this share of the greatest rank correlation that ties allow, a column is taken to be derived from time: a month, a
/// year, a running number.
const FOLLOWS: f64 = 0.95;
/// And from this rank correlation: one odd day at the end is no trend, two even halves are.
const LEAST: f64 = 0.85;

/// Spearman's rank correlation between the units' order and the column's mean per unit, if it is so high
/// that the column tells the time. `unit_of` names each row's unit among `units`.
pub(super) fn follows(column: &Column, unit_of: &[u32], units: usize) -> Option<f64> {
    let mut sums = vec![(0.0_f64, 0_u64); units];
    for (value, unit) in numbers(column).into_iter().zip(unit_of) {
        if let Some((sum, count)) = sums.get_mut(*unit as usize).filter(|_| !value.is_nan()) {
            *sum += value;
            *count += 1;
        }
    }
    let means: Vec<f64> =
        sums.into_iter().filter(|(_, count)| *count > 0).map(|(sum, count)| sum / count as f64).collect();
    let (correlation, greatest) = spearman_with_order(&means)?;
    (correlation.abs() >= LEAST.max(FOLLOWS * greatest)).then_some(correlation)
}

/// Pearson's correlation of 0, 1, 2, … with the ranks of `values`, ties at their mean rank, and
/// the greatest one that values with these ties can have.
fn spearman_with_order(values: &[f64]) -> Option<(f64, f64)> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    let at = |place: &usize| values.get(*place).copied().unwrap_or(0.0);
    order.sort_by(|a, b| at(a).total_cmp(&at(b)));
    let (middle, mut before) = ((values.len() as f64 - 1.0) / 2.0, 0.0);
    let (mut with_order, mut ranks, mut places) = (0.0, 0.0, 0.0);
    for tied in order.chunk_by(|a, b| at(a) == at(b)) {
        let rank = before + (tied.len() as f64 - 1.0) / 2.0 - middle;
        for place in tied {
            let place = *place as f64 - middle;
            with_order += place * rank;
            places += place * place;
        }
        ranks += rank * rank * tied.len() as f64;
        before += tied.len() as f64;
    }
    (ranks > 0.0 && values.len() >= 10)
        .then(|| (with_order / (ranks.sqrt() * places.sqrt()), ranks.sqrt() / places.sqrt()))
}
