//! Pearson correlations over the rows where both columns have a finite value.

use gristmill_types::{Column, Values};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::number;

/// Rows per partial sum: all columns of a block fit the cache. Lanes add independently, so the order of additions is
/// fixed and the sums vectorise.
const BLOCK: usize = 4096;
const LANES: usize = 4;

/// A symmetric table of correlations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// Names of rows and columns.
    pub columns: Vec<String>,
    /// One row per column; none where a column does not vary on the shared rows or fewer than two rows are shared.
    pub values: Vec<Vec<Option<f64>>>,
}

/// What one column's own rows say; of its values less their mean.
struct Centre {
    mean: f64,
    count: f64,
    sum: f64,
    squares: f64,
}

/// Some rows of a column less its mean: 0 where there is no value, with a weight of 0 or 1.
#[derive(Default)]
struct Block {
    values: Vec<f64>,
    weights: Vec<f64>,
    /// Whether every row has a value.
    complete: bool,
    /// Sum of the values and of their squares.
    own: (f64, f64),
}

/// Correlates every pair; none with fewer than two columns.
pub(super) fn correlate(columns: &[&Column]) -> Option<Correlation> {
    if columns.len() < 2 {
        return None;
    }
    let centres: Vec<Centre> = columns.par_iter().map(|column| Centre::of(column)).collect();
    let pairs: Vec<(usize, usize)> = (0..columns.len()).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
    // Every pair has sums of its own, so how pairs are shared among threads changes nothing.
    let share = pairs.len().div_ceil(rayon::current_num_threads()).max(1);
    let found: Vec<Option<f64>> =
        pairs.par_chunks(share).flat_map_iter(|pairs| pearson(columns, &centres, pairs)).collect();
    let mut values = vec![vec![None; columns.len()]; columns.len()];
    for ((a, b), value) in pairs.into_iter().zip(found) {
        for (row, column) in [(a, b), (b, a)] {
            if let Some(cell) = values.get_mut(row).and_then(|row| row.get_mut(column)) {
                *cell = value;
            }
        }
    }
    for (place, centre) in centres.iter().enumerate() {
        if let Some(cell) = values.get_mut(place).and_then(|row| row.get_mut(place)) {
            let own = [centre.count, centre.sum, centre.sum, centre.squares, centre.squares, centre.squares];
            *cell = coefficient(own).map(|_| 1.0);
        }
    }
    Some(Correlation { columns: columns.iter().map(|column| column.name.clone()).collect(), values })
}

impl Centre {
    fn of(column: &Column) -> Self {
        let mut block = Block::default();
        let mut centre = Self { mean: 0.0, count: 0.0, sum: 0.0, squares: 0.0 };
        let mut total = 0.0;
        for from in (0..column.len()).step_by(BLOCK) {
            block.fill(column, from, 0.0);
            centre.count += block.weights.iter().sum::<f64>();
            total += block.values.chunks(1024).map(|chunk| chunk.iter().sum::<f64>()).sum::<f64>();
        }
        if centre.count > 0.0 {
            centre.mean = total / centre.count;
        }
        for from in (0..column.len()).step_by(BLOCK) {
            block.fill(column, from, centre.mean);
            centre.sum += block.own.0;
            centre.squares += block.own.1;
        }
        centre
    }
}

impl Block {
    /// Takes the rows from `from` on.
    fn fill(&mut self, column: &Column, from: usize, mean: f64) {
        let to = column.len().min(from + BLOCK);
        self.values.clear();
        match &column.values {
            Values::Int(values) => self.values.extend(values[from..to].iter().map(|v| *v as f64)),
            Values::Float(values) => self.values.extend_from_slice(&values[from..to]),
            Values::Decimal { scale, unscaled } => {
                self.values.extend(unscaled[from..to].iter().map(|v| number::decimal(*v, *scale)));
            }
            Values::Bool(values) => self.values.extend(values[from..to].iter().map(|v| f64::from(u8::from(*v)))),
            _ => self.values.resize(to - from, f64::NAN),
        }
        if let Some(valid) = &column.valid {
            for (value, valid) in self.values.iter_mut().zip(&valid[from..to]) {
                *value = if *valid { *value } else { f64::NAN };
            }
        }
        self.weights.clear();
        self.weights.extend(self.values.iter().map(|v| f64::from(u8::from(v.is_finite()))));
        self.complete = self.values.iter().all(|v| v.is_finite());
        for value in &mut self.values {
            *value = if value.is_finite() { *value - mean } else { 0.0 };
        }
        self.own = (lanes([&self.values], |[x]| x), lanes([&self.values], |[x]| x * x));
    }
}

/// The coefficients of some pairs, block by block.
fn pearson(columns: &[&Column], centres: &[Centre], pairs: &[(usize, usize)]) -> Vec<Option<f64>> {
    let rows = columns.first().map_or(0, |column| column.len());
    let last = pairs.iter().map(|(a, _)| *a).max().unwrap_or(0);
    let mut blocks: Vec<Block> = (0..=last).map(|_| Block::default()).collect();
    let mut totals = vec![[0.0_f64; 6]; pairs.len()];
    for from in (0..rows).step_by(BLOCK) {
        for ((block, column), centre) in blocks.iter_mut().zip(columns).zip(centres) {
            block.fill(column, from, centre.mean);
        }
        for ((a, b), total) in pairs.iter().zip(&mut totals) {
            for (sum, part) in total.iter_mut().zip(shared(&blocks[*a], &blocks[*b])) {
                *sum += part;
            }
        }
    }
    totals.into_iter().map(coefficient).collect()
}

/// Over the rows where both have a value: their number, both sums, both sums of squares, the sum of products.
fn shared(a: &Block, b: &Block) -> [f64; 6] {
    let (x, y) = (&a.values, &b.values);
    let product = lanes([x, y], |[x, y]| x * y);
    if a.complete && b.complete {
        let ((sx, sxx), (sy, syy)) = (a.own, b.own);
        return [x.len() as f64, sx, sy, sxx, syy, product];
    }
    let (wx, wy) = (&a.weights, &b.weights);
    [
        lanes([wx, wy], |[wx, wy]| wx * wy),
        lanes([x, wy], |[x, wy]| x * wy),
        lanes([y, wx], |[y, wx]| y * wx),
        lanes([x, wy], |[x, wy]| x * x * wy),
        lanes([y, wx], |[y, wx]| y * y * wx),
        product,
    ]
}

fn coefficient([n, sx, sy, sxx, syy, sxy]: [f64; 6]) -> Option<f64> {
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

/// The sum of `term` over rows, each lane adding every fourth row.
fn lanes<const N: usize>(columns: [&Vec<f64>; N], term: impl Fn([f64; N]) -> f64) -> f64 {
    let rows = columns.iter().map(|column| column.len()).min().unwrap_or(0);
    let mut sums = [0.0_f64; LANES];
    let whole = rows - rows % LANES;
    let columns = columns.map(|column| &column[..rows]);
    for from in (0..whole).step_by(LANES) {
        let four = columns.map(|column| &column[from..from + LANES]);
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += term(four.map(|column| column[lane]));
        }
    }
    for (lane, row) in (whole..rows).enumerate() {
        sums[lane] += term(columns.map(|column| column[row]));
    }
    sums.iter().sum()
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
