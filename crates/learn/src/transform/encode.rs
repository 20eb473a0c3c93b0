//! Target encodings: the smoothed mean of the target per category (Micci-Barreca, 2001), cross-fitted.

use crate::folds::Assigned;

/// Sums and row counts of the target per category id.
#[derive(Debug, Clone)]
struct Totals {
    sum: Vec<f64>,
    count: Vec<f64>,
}

impl Totals {
    fn new(ids: usize) -> Self {
        Self { sum: vec![0.0; ids], count: vec![0.0; ids] }
    }

    fn add(&mut self, id: u32, value: f64) {
        if let (Some(sum), Some(count)) = (self.sum.get_mut(id as usize), self.count.get_mut(id as usize)) {
            *sum += value;
            *count += 1.0;
        }
    }

    fn of(&self, id: u32) -> (f64, f64) {
        let at = id as usize;
        (self.sum.get(at).copied().unwrap_or(0.0), self.count.get(at).copied().unwrap_or(0.0))
    }
}

fn smoothed(sum: f64, count: f64, prior: f64, smoothing: f64) -> f64 {
    (sum + smoothing * prior) / (count + smoothing)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    if count > 0.0 { sum / count } else { 0.0 }
}

/// The encoding of every id from all rows.
pub(super) fn table(ids: &[u32], sizes: usize, target: &[f64], smoothing: f64) -> Vec<f64> {
    let prior = mean(target.iter().copied());
    let mut totals = Totals::new(sizes);
    for (id, value) in ids.iter().zip(target) {
        totals.add(*id, *value);
    }
    totals.sum.iter().zip(&totals.count).map(|(sum, count)| smoothed(*sum, *count, prior, smoothing)).collect()
}

/// The encoding of every row from rows of other folds (of earlier folds when folds run in time).
///
/// The overall mean that rare categories are drawn to is that of all rows, one number for all of
/// them: a mean per fold would tell a row's fold, and with it a little of its target. In time it is
/// the mean of the past; the first stretch has no past and takes its own mean, the same for each row.
pub(super) fn cross_fitted(ids: &[u32], sizes: usize, target: &[f64], folds: &Assigned, smoothing: f64) -> Vec<f32> {
    let mut per_fold = vec![Totals::new(sizes); folds.count];
    for ((id, value), fold) in ids.iter().zip(target).zip(&folds.fold) {
        if let Some(totals) = per_fold.get_mut(*fold) {
            totals.add(*id, *value);
        }
    }
    if folds.forward {
        return forward(ids, sizes, target, folds, &per_fold, smoothing);
    }
    let mut all = Totals::new(sizes);
    for (id, value) in ids.iter().zip(target) {
        all.add(*id, *value);
    }
    let prior = mean(target.iter().copied());
    let encode = |(id, fold): (&u32, &usize)| {
        let (sum, count) = all.of(*id);
        let (own_sum, own_count) = per_fold.get(*fold).map_or((0.0, 0.0), |own| own.of(*id));
        smoothed(sum - own_sum, count - own_count, prior, smoothing) as f32
    };
    ids.iter().zip(&folds.fold).map(encode).collect()
}

fn forward(
    ids: &[u32],
    sizes: usize,
    target: &[f64],
    folds: &Assigned,
    per_fold: &[Totals],
    smoothing: f64,
) -> Vec<f32> {
    let in_fold = |fold: usize| target.iter().zip(&folds.fold).filter(move |(_, f)| **f == fold).map(|(v, _)| *v);
    let mut past = Totals::new(sizes);
    let (mut past_sum, mut past_count) = (0.0, 0.0);
    let mut tables: Vec<Vec<f64>> = Vec::with_capacity(per_fold.len());
    for (fold, own) in per_fold.iter().enumerate() {
        let prior = if past_count > 0.0 { past_sum / past_count } else { mean(in_fold(fold)) };
        tables.push(past.sum.iter().zip(&past.count).map(|(s, n)| smoothed(*s, *n, prior, smoothing)).collect());
        for (total, value) in past.sum.iter_mut().zip(&own.sum) {
            *total += value;
        }
        for (total, value) in past.count.iter_mut().zip(&own.count) {
            *total += value;
        }
        for value in in_fold(fold) {
            past_sum += value;
            past_count += 1.0;
        }
    }
    let encode = |(id, fold): (&u32, &usize)| {
        tables.get(*fold).and_then(|table| table.get(*id as usize)).copied().unwrap_or(0.0) as f32
    };
    ids.iter().zip(&folds.fold).map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_knows_its_own_target() {
        let ids = [2, 2, 3, 3, 2, 3];
        let folds = Assigned { fold: vec![0, 1, 0, 1, 0, 1], count: 2, forward: false };
        let encoded = |target: &[f64]| cross_fitted(&ids, 4, target, &folds, 1.0);
        let before = encoded(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
        // Row 0 swaps its target with row 2 of the same fold: the overall mean stays.
        let after = encoded(&[0.0, 0.0, 2.0, 0.0, 1.0, 0.0]);
        assert_eq!(before[0], after[0]);
        assert_ne!(before[1], after[1]);
    }

    #[test]
    fn time_looks_back_only() {
        let ids = [2, 2, 2, 2];
        let folds = Assigned { fold: vec![0, 0, 1, 2], count: 3, forward: true };
        let a = cross_fitted(&ids, 3, &[1.0, 0.0, 1.0, 0.0], &folds, 1.0);
        let b = cross_fitted(&ids, 3, &[1.0, 0.0, 1.0, 1.0], &folds, 1.0);
        assert_eq!(a, b);
        assert_eq!((a[0], a[1], a[2]), (0.5, 0.5, 0.5));
        assert_eq!(a[3], ((2.0 + 2.0 / 3.0) / 4.0) as f32);
    }
}
