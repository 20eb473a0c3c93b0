//! Bins fixed on the reference: quantiles of numbers, categories with the rare ones pooled, and missing.

use std::collections::HashMap;

use gristmill_types::{Column, Values};

use super::DriftOptions;
use crate::profile::{numbers, quantile};

/// Numbers with at most this many different values are categories.
const FEW: usize = 20;

/// How a column's values fall into bins; the last bin holds what is missing.
#[derive(Debug, Clone)]
pub(super) enum Binning {
    /// Bin i holds values in (edge i − 1, edge i], the last number bin what is above all edges.
    Edges { edges: Vec<f64>, range: (f64, f64) },
    /// One bin per kept number, then one for all others; `rare` were seen.
    Numbers { kept: Vec<f64>, rare: Vec<f64> },
    /// One bin per kept text, then one for all others; seen texts of `None` are rare.
    Texts { kept: Vec<String>, seen: HashMap<String, Option<u32>> },
}

impl Binning {
    /// Fixes the bins on the reference column.
    pub(super) fn fit(column: &Column, options: &DriftOptions) -> Self {
        if let Values::Text(text) = &column.values {
            let mut counts = vec![0_u64; text.values.len()];
            for (row, code) in text.codes.iter().enumerate() {
                if let Some(count) = counts.get_mut(*code as usize).filter(|_| column.is_valid(row)) {
                    *count += 1;
                }
            }
            let used: Vec<(&String, u64)> = text.values.iter().zip(counts).filter(|(_, count)| *count > 0).collect();
            return Self::texts(&used, options.rare_share);
        }
        let mut values = finite(column);
        values.retain(|v| !v.is_nan());
        values.sort_unstable_by(f64::total_cmp);
        let distinct: Vec<(f64, usize)> =
            values.chunk_by(|a, b| a == b).take(FEW + 1).filter_map(|run| Some((*run.first()?, run.len()))).collect();
        if distinct.len() <= FEW {
            let least = options.rare_share * values.len() as f64;
            let (kept, rare): (Vec<_>, Vec<_>) = distinct.into_iter().partition(|(_, count)| *count as f64 >= least);
            let value = |pairs: Vec<(f64, usize)>| pairs.into_iter().map(|(value, _)| value).collect();
            return Self::Numbers { kept: value(kept), rare: value(rare) };
        }
        let (low, high) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0));
        let bins = options.bins.max(2);
        let cuts = (1..bins).filter_map(|n| quantile(&values, n as f64 / bins as f64));
        let mut edges: Vec<f64> = cuts.filter(|edge| *edge < high).collect();
        edges.dedup();
        Self::Edges { edges, range: (low, high) }
    }

    fn texts(used: &[(&String, u64)], rare_share: f64) -> Self {
        let rows: u64 = used.iter().map(|(_, count)| count).sum();
        let mut sorted = used.to_vec();
        sorted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let (mut kept, mut seen) = (Vec::new(), HashMap::new());
        for (value, count) in sorted {
            let frequent = count as f64 >= rare_share * rows as f64;
            seen.insert(value.clone(), frequent.then_some(kept.len() as u32));
            if frequent {
                kept.push(value.clone());
            }
        }
        Self::Texts { kept, seen }
    }

    /// Number of bins, missing included.
    pub(super) fn len(&self) -> usize {
        2 + match self {
            Self::Edges { edges, .. } => edges.len(),
            Self::Numbers { kept, .. } => kept.len(),
            Self::Texts { kept, .. } => kept.len(),
        }
    }

    /// Each row's bin.
    pub(super) fn codes(&self, column: &Column) -> Vec<u32> {
        let missing = self.len() as u32 - 1;
        match (self, &column.values) {
            (Self::Texts { kept, seen }, Values::Text(text)) => {
                let other = kept.len() as u32;
                let bin = |value: &String| seen.get(value).copied().flatten().unwrap_or(other);
                let bins: Vec<u32> = text.values.iter().map(bin).collect();
                let of = |(row, code): (usize, &u32)| {
                    if column.is_valid(row) { bins.get(*code as usize).copied().unwrap_or(other) } else { missing }
                };
                text.codes.iter().enumerate().map(of).collect()
            }
            // A column of another kind got here because none of its rows has a value.
            (Self::Texts { .. }, _) => vec![missing; column.len()],
            (Self::Numbers { .. } | Self::Edges { .. }, _) => {
                finite(column).into_iter().map(|v| if v.is_nan() { missing } else { self.number_bin(v) }).collect()
            }
        }
    }

    fn number_bin(&self, value: f64) -> u32 {
        match self {
            Self::Edges { edges, .. } => edges.partition_point(|edge| *edge < value) as u32,
            Self::Numbers { kept, .. } => kept.binary_search_by(|k| k.total_cmp(&value)).unwrap_or(kept.len()) as u32,
            Self::Texts { kept, .. } => kept.len() as u32,
        }
    }

    /// Rows per bin.
    pub(super) fn count(&self, codes: &[u32]) -> Vec<u64> {
        let mut counts = vec![0; self.len()];
        for code in codes {
            if let Some(count) = counts.get_mut(*code as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// Share of the values of `column` that the reference never had.
    pub(super) fn new_share(&self, column: &Column) -> f64 {
        let (new, all) = match (self, &column.values) {
            (Self::Texts { seen, .. }, Values::Text(text)) => {
                let unknown: Vec<bool> = text.values.iter().map(|value| !seen.contains_key(value)).collect();
                let present = || text.codes.iter().enumerate().filter(|(row, _)| column.is_valid(*row));
                let new = present().filter(|(_, code)| unknown.get(**code as usize) == Some(&true)).count();
                (new, present().count())
            }
            (Self::Texts { .. }, _) => (0, 0),
            _ => {
                let values = finite(column);
                let present = || values.iter().filter(|v| !v.is_nan());
                (present().filter(|v| self.is_new(**v)).count(), present().count())
            }
        };
        if all == 0 { 0.0 } else { new as f64 / all as f64 }
    }

    fn is_new(&self, value: f64) -> bool {
        let has = |list: &[f64]| list.binary_search_by(|k| k.total_cmp(&value)).is_ok();
        match self {
            Self::Edges { range, .. } => value < range.0 || value > range.1,
            Self::Numbers { kept, rare } => !has(kept) && !has(rare),
            Self::Texts { .. } => false,
        }
    }

    /// A bin's name.
    pub(super) fn label(&self, place: usize) -> String {
        if place + 1 == self.len() {
            return "missing".into();
        }
        match self {
            Self::Edges { edges, .. } => match (place.checked_sub(1).and_then(|p| edges.get(p)), edges.get(place)) {
                (None, Some(high)) => format!("≤ {high}"),
                (Some(low), Some(high)) => format!("{low} – {high}"),
                (Some(low), None) => format!("> {low}"),
                (None, None) => "all".into(),
            },
            Self::Numbers { kept, .. } => kept.get(place).map_or_else(|| "other".into(), f64::to_string),
            Self::Texts { kept, .. } => kept.get(place).cloned().unwrap_or_else(|| "other".into()),
        }
    }
}

/// The values as numbers, −0 as 0; NaN where there is none. Infinities count as missing.
fn finite(column: &Column) -> Vec<f64> {
    let mut values = numbers(column);
    for value in &mut values {
        *value += 0.0;
    }
    values
}
