//! Distinct values, extremes and the most frequent values.

use gristmill_types::{Column, Text};

use super::{ColumnProfile, ProfileOptions, Scalar, TextLength, ValueCount};

/// The values of the rows that have one, in rising order.
pub(super) fn sorted<T: Copy + Ord>(column: &Column, values: &[T]) -> Vec<T> {
    let mut kept = present(column, values);
    kept.sort_unstable();
    kept
}

/// As [`sorted`], by counting where the values lie closer together than rows do.
pub(super) fn sorted_ints(column: &Column, values: &[i64]) -> Vec<i64> {
    let mut kept = present(column, values);
    let (Some(low), Some(high)) = (kept.iter().min().copied(), kept.iter().max().copied()) else { return kept };
    let width = high.checked_sub(low).and_then(|width| usize::try_from(width).ok());
    let Some(width) = width.filter(|width| *width < kept.len()) else {
        kept.sort_unstable();
        return kept;
    };
    let mut counts = vec![0_usize; width + 1];
    for value in &kept {
        // Between the smallest and the largest.
        counts[(value - low) as usize] += 1;
    }
    kept.clear();
    for (value, count) in (low..).zip(counts) {
        kept.resize(kept.len() + count, value);
    }
    kept
}

/// The values of the rows that have one.
pub(super) fn present<T: Copy>(column: &Column, values: &[T]) -> Vec<T> {
    match &column.valid {
        None => values.to_vec(),
        Some(valid) => values.iter().zip(valid).filter_map(|(v, valid)| valid.then_some(*v)).collect(),
    }
}

/// Keeps the `most` largest counts, equal counts in the order offered.
struct Top<K> {
    most: usize,
    kept: Vec<(K, u64)>,
}

impl<K> Top<K> {
    const fn new(most: usize) -> Self {
        Self { most, kept: Vec::new() }
    }

    fn offer(&mut self, key: K, count: u64) {
        if self.kept.len() == self.most && self.kept.last().is_none_or(|(_, least)| *least >= count) {
            return;
        }
        let place = self.kept.partition_point(|(_, kept)| *kept >= count);
        self.kept.insert(place, (key, count));
        self.kept.truncate(self.most);
    }
}

/// Counts equal neighbours of sorted values: distinct, extremes, most frequent.
pub(super) fn runs<T: Copy + PartialEq>(
    result: &mut ColumnProfile,
    sorted: &[T],
    top: usize,
    scalar: impl Fn(&T) -> Scalar,
) {
    let mut best = Top::new(top);
    for run in sorted.chunk_by(|a, b| a == b) {
        result.distinct += 1;
        if let Some(value) = run.first() {
            best.offer(*value, run.len() as u64);
        }
    }
    result.min = sorted.first().map(&scalar);
    result.max = sorted.last().map(&scalar);
    result.top = best.kept.iter().map(|(value, count)| ValueCount { value: scalar(value), count: *count }).collect();
}

/// Counts truth values.
pub(super) fn bools(result: &mut ColumnProfile, column: &Column, values: &[bool]) {
    let present = present(column, values);
    let (rows, yes) = (present.len() as u64, present.iter().filter(|v| **v).count() as u64);
    let no = rows - yes;
    result.distinct = u64::from(yes > 0) + u64::from(no > 0);
    result.zeros = no;
    if rows > 0 {
        result.min = Some(Scalar::Bool(no == 0));
        result.max = Some(Scalar::Bool(yes > 0));
        let mean = yes as f64 / rows as f64;
        result.mean = Some(mean);
        result.std = (rows > 1).then(|| (mean * (1.0 - mean) * rows as f64 / (rows - 1) as f64).sqrt());
    }
    let mut counts = vec![(false, no), (true, yes)];
    counts.retain(|(_, count)| *count > 0);
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    result.top = counts.into_iter().map(|(v, count)| ValueCount { value: Scalar::Bool(v), count }).collect();
}

/// Counts text by its codes; the dictionary may hold values that no row uses.
pub(super) fn text(result: &mut ColumnProfile, column: &Column, text: &Text, options: &ProfileOptions) {
    let mut counts = vec![0_u64; text.values.len()];
    for (row, code) in text.codes.iter().enumerate() {
        if column.is_valid(row)
            && let Some(count) = counts.get_mut(*code as usize)
        {
            *count += 1;
        }
    }
    let mut used: Vec<(&str, u64)> =
        text.values.iter().map(String::as_str).zip(counts).filter(|(_, count)| *count > 0).collect();
    // Two entries of a dictionary may hold the same text; they are one value.
    used.sort_unstable();
    let mut merged: Vec<(&str, u64)> = Vec::with_capacity(used.len());
    for (value, count) in used {
        match merged.last_mut() {
            Some((last, sum)) if *last == value => *sum += count,
            _ => merged.push((value, count)),
        }
    }
    result.distinct = merged.len() as u64;
    result.length = lengths(&merged);
    let top = if merged.len() <= options.categories { merged.len() } else { options.top };
    let mut best = Top::new(top);
    for (value, count) in merged {
        best.offer(value, count);
    }
    let top = best.kept.into_iter();
    result.top = top.map(|(v, count)| ValueCount { value: Scalar::Text(v.to_owned()), count }).collect();
}

fn lengths(values: &[(&str, u64)]) -> Option<TextLength> {
    let lengths = || values.iter().map(|(value, count)| (value.chars().count() as u64, *count));
    let (characters, rows) = lengths().fold((0_u128, 0_u64), |(sum, rows), (length, count)| {
        (sum + u128::from(length) * u128::from(count), rows + count)
    });
    Some(TextLength {
        min: lengths().map(|(length, _)| length).min()?,
        mean: characters as f64 / rows as f64,
        max: lengths().map(|(length, _)| length).max()?,
    })
}
