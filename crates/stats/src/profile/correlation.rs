//! Pearson correlations over the rows where both columns have a finite value.

use gristmill_types::{Column, Values};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::number;

/// Rows per partial sum; lanes add independently, so the order of additions is fixed and the sums vectorise.
const CHUNK: usize = 4096;
const LANES: usize = 4;

/// A symmetric table of correlations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// Names of rows and columns.
    pub columns: Vec<String>,
    /// One row per column; none where a column does not vary on the shared rows or fewer than two rows are shared.
    pub values: Vec<Vec<Option<f64>>>,
}

/// A column shifted by its mean: 0 where there is no value, with a weight of 0 or 1.
struct Shifted {
    values: Vec<f64>,
    weights: Vec<f64>,
}

/// Correlates every pair; none with fewer than two columns.
pub(super) fn correlate(columns: &[&Column]) -> Option<Correlation> {
    if columns.len() < 2 {
        return None;
    }
    let shifted: Vec<Shifted> = columns.par_iter().map(|column| shift(column)).collect();
    let pairs: Vec<(usize, usize)> = (0..shifted.len()).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
    let found: Vec<Option<f64>> = pairs.par_iter().map(|(a, b)| pearson(shifted.get(*a)?, shifted.get(*b)?)).collect();
    let mut values = vec![vec![None; columns.len()]; columns.len()];
    for ((a, b), value) in pairs.into_iter().zip(found) {
        for (row, column) in [(a, b), (b, a)] {
            if let Some(cell) = values.get_mut(row).and_then(|row| row.get_mut(column)) {
                *cell = value;
            }
        }
    }
    for (place, column) in shifted.iter().enumerate() {
        if let Some(cell) = values.get_mut(place).and_then(|row| row.get_mut(place)) {
            *cell = pearson(column, column).map(|_| 1.0);
        }
    }
    Some(Correlation { columns: columns.iter().map(|column| column.name.clone()).collect(), values })
}

/// The finite values of a numeric column; NaN where there is none.
pub(crate) fn numbers(column: &Column) -> Vec<f64> {
    let at = |row: usize, value: f64| if column.is_valid(row) && value.is_finite() { value } else { f64::NAN };
    match &column.values {
        Values::Int(values) => values.iter().enumerate().map(|(row, v)| at(row, *v as f64)).collect(),
        Values::Float(values) => values.iter().enumerate().map(|(row, v)| at(row, *v)).collect(),
        Values::Decimal { scale, unscaled } => {
            unscaled.iter().enumerate().map(|(row, v)| at(row, number::decimal(*v, *scale))).collect()
        }
        Values::Bool(values) => values.iter().enumerate().map(|(row, v)| at(row, f64::from(u8::from(*v)))).collect(),
        _ => vec![f64::NAN; column.len()],
    }
}

fn shift(column: &Column) -> Shifted {
    let mut values = numbers(column);
    let weights: Vec<f64> = values.iter().map(|v| if v.is_nan() { 0.0 } else { 1.0 }).collect();
    let count = number::chunked(&weights, |w| w);
    let mean = if count > 0.0 { number::chunked(&values, |v| if v.is_nan() { 0.0 } else { v }) / count } else { 0.0 };
    for value in &mut values {
        *value = if value.is_nan() { 0.0 } else { *value - mean };
    }
    Shifted { values, weights }
}

fn pearson(a: &Shifted, b: &Shifted) -> Option<f64> {
    let mut total = [0.0_f64; 6];
    let chunks =
        a.values.chunks(CHUNK).zip(a.weights.chunks(CHUNK)).zip(b.values.chunks(CHUNK).zip(b.weights.chunks(CHUNK)));
    for ((x, wx), (y, wy)) in chunks {
        for (sum, part) in total.iter_mut().zip(partial(x, wx, y, wy)) {
            *sum += part;
        }
    }
    let [n, sx, sy, sxx, syy, sxy] = total;
    if n < 2.0 {
        return None;
    }
    let (vx, vy) = (sxx - sx * sx / n, syy - sy * sy / n);
    // A constant leaves only the rounding of its own shift.
    if vx <= sxx.abs() * 1e-12 || vy <= syy.abs() * 1e-12 {
        return None;
    }
    let r = (sxy - sx * sy / n) / (vx.sqrt() * vy.sqrt());
    r.is_finite().then(|| r.clamp(-1.0, 1.0))
}

fn partial(x: &[f64], wx: &[f64], y: &[f64], wy: &[f64]) -> [f64; 6] {
    let mut sums = [[0.0_f64; LANES]; 6];
    let rows = x.chunks(LANES).zip(wx.chunks(LANES)).zip(y.chunks(LANES).zip(wy.chunks(LANES)));
    for ((x, wx), (y, wy)) in rows {
        let [n, sx, sy, sxx, syy, sxy] = &mut sums;
        let lanes = x.iter().zip(wx).zip(y.iter().zip(wy)).enumerate();
        for (lane, ((x, wx), (y, wy))) in lanes {
            let both = wx * wy;
            let terms = [both, x * wy, y * wx, x * x * wy, y * y * wx, x * y];
            for (sum, term) in [&mut *n, &mut *sx, &mut *sy, &mut *sxx, &mut *syy, &mut *sxy].into_iter().zip(terms) {
                if let Some(cell) = sum.get_mut(lane) {
                    *cell += term;
                }
            }
        }
    }
    sums.map(|lanes| lanes.iter().sum())
}
