//! Windows of the live rows' length, cut from the reference.

use gristmill_types::{Columns, Values};

use super::DriftOptions;
use crate::random;

/// More units than this are merged with their neighbours: a window then still has many.
const MOST_UNITS: usize = 1_000;
/// Copies of the reference thinned to the live rows' density.
const MOST_THINNINGS: usize = 4;

/// Ranges of units, `from..to`.
pub(super) type Ranges = Vec<(u32, u32)>;

/// One window: the units drawn (a unit may be drawn twice) and the set of them.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub(super) thinning: usize,
    pub(super) drawn: Ranges,
    pub(super) set: Ranges,
}

/// The windows that calibrate thresholds; all columns share them.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    /// Unit of each reference row, in the order of the units.
    pub(super) unit_of: Vec<u32>,
    /// Number of units.
    pub(super) units: usize,
    /// Which reference rows take part in a window, per thinning; none for all.
    pub(super) thinnings: Vec<Option<Vec<bool>>>,
    /// Windows of blocks drawn at random (or every run of units, when a window is one block).
    pub(super) drawn: Vec<Window>,
    /// Every run of consecutive units as long as a window: season and trend as far as the reference saw them.
    pub(super) runs: Vec<Window>,
}

impl Windows {
    /// Number of windows.
    pub(super) const fn len(&self) -> usize {
        self.drawn.len() + self.runs.len()
    }
}

/// Unit of each row and number of units; none if the table does not name units.
fn named_units(table: &Columns, name: &str) -> Option<(Vec<u32>, usize)> {
    let column = table.get(name)?;
    let Values::Text(text) = &column.values else { return None };
    // Units in order of first appearance; the dictionary may hold texts that no row uses.
    let mut order: Vec<Option<u32>> = vec![None; text.values.len()];
    let mut used: Vec<(&str, u32)> = Vec::new();
    for code in &text.codes {
        if let Some(slot @ None) = order.get_mut(*code as usize) {
            *slot = Some(used.len() as u32);
            used.push((text.values.get(*code as usize).map_or("", String::as_str), *code));
        }
    }
    if used.iter().all(|(unit, _)| is_date(unit)) {
        used.sort_unstable();
        for (place, (_, code)) in used.iter().enumerate() {
            if let Some(slot) = order.get_mut(*code as usize) {
                *slot = Some(place as u32);
            }
        }
    }
    let unit = |code: &u32| order.get(*code as usize).copied().flatten().unwrap_or(0);
    Some((text.codes.iter().map(unit).collect(), used.len()))
}

/// As [`named_units`], if the units are days.
pub(super) fn dated_units(table: &Columns, options: &DriftOptions) -> Option<(Vec<u32>, usize)> {
    let Values::Text(text) = &table.get(&options.unit_column)?.values else { return None };
    let dated = text.codes.iter().all(|code| text.values.get(*code as usize).is_some_and(|unit| is_date(unit)));
    named_units(table, &options.unit_column).filter(|_| dated)
}

fn is_date(text: &str) -> bool {
    let shape = |(place, byte): (usize, u8)| if matches!(place, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(shape)
}

/// Units of the reference and of the live rows; rows where units have no name.
pub(super) fn unit_counts(reference: &Columns, live: &Columns, options: &DriftOptions) -> (usize, usize) {
    let count = |table: &Columns| named_units(table, &options.unit_column).map_or(table.rows(), |(_, units)| units);
    (count(reference), count(live))
}

/// Cuts the windows, or says why the comparison cannot be calibrated.
pub(super) fn windows(reference: &Columns, live: &Columns, options: &DriftOptions) -> Result<Windows, String> {
    for (what, rows) in [("live", live.rows()), ("reference", reference.rows())] {
        if rows < options.min_rows.max(1) {
            return Err(format!(
                "not enough data: {rows} {what} rows, at least {} are needed",
                options.min_rows.max(1)
            ));
        }
    }
    let named = named_units(reference, &options.unit_column);
    if let Some((_, units)) = named.as_ref().filter(|(_, units)| *units < options.min_units.max(2)) {
        return Err(format!(
            "not enough data: {units} units of dependence in the reference, at least {} are needed",
            options.min_units.max(2)
        ));
    }
    let (unit_of, units, length) = match named {
        Some((unit_of, units)) => merged(unit_of, units, reference.rows(), live, options),
        None => shuffled(reference.rows(), live.rows(), options.seed),
    };
    // Half of the reference stays to compare with; a shorter window varies more, which errs towards silence.
    let length = length.clamp(1, units / 2);
    let density = live.rows() as f64 * units as f64 / (length as f64 * reference.rows() as f64);
    let thinnings = thin(reference.rows(), density, options.seed);
    let block = match options.block_units {
        0 => libm::ceil(libm::cbrt(units as f64)) as usize,
        units => units,
    };
    let runs = runs(units, length, thinnings.len());
    if block >= length {
        return Ok(Windows { unit_of, units, thinnings, drawn: runs, runs: Vec::new() });
    }
    let drawn = (0..options.resamples.max(1)).map(|n| draw(n, units, length, block, thinnings.len(), options.seed));
    Ok(Windows { drawn: drawn.collect(), unit_of, units, thinnings, runs })
}

/// Named units, merged if there are very many, and the length of the live window in them.
fn merged(
    unit_of: Vec<u32>,
    units: usize,
    rows: usize,
    live: &Columns,
    options: &DriftOptions,
) -> (Vec<u32>, usize, usize) {
    let length = named_units(live, &options.unit_column)
        .map_or_else(|| live.rows() as f64 * units as f64 / rows as f64, |(_, units)| units as f64);
    if units <= MOST_UNITS {
        return (unit_of, units, libm::round(length) as usize);
    }
    let merge = |unit: u32| (u64::from(unit) * MOST_UNITS as u64 / units as u64) as u32;
    let length = libm::round(length * MOST_UNITS as f64 / units as f64) as usize;
    (unit_of.into_iter().map(merge).collect(), MOST_UNITS, length)
}

/// Independent rows in random order, cut into pieces of about a tenth of a window.
fn shuffled(rows: usize, live: usize, seed: u64) -> (Vec<u32>, usize, usize) {
    let piece = (live / 10).min(rows / 100).max(rows / MOST_UNITS).max(1);
    let units = (rows / piece).max(2);
    let mut unit_of: Vec<u32> = (0..rows).map(|row| ((row / piece).min(units - 1)) as u32).collect();
    random::shuffle(&mut random::generator(seed, "drift-rows", 0), &mut unit_of);
    (unit_of, units, libm::round(live as f64 / piece as f64) as usize)
}

/// Copies of the reference in which a window has about as many rows as the live one.
fn thin(rows: usize, density: f64, seed: u64) -> Vec<Option<Vec<bool>>> {
    if density >= 0.9 {
        return vec![None];
    }
    let copies = (libm::ceil(1.0 / density) as usize).clamp(1, MOST_THINNINGS);
    let copy = |n: usize| {
        let mut generator = random::generator(seed, "drift-thinning", n as u64);
        Some((0..rows).map(|_| random::uniform(&mut generator) < density).collect())
    };
    (0..copies).map(copy).collect()
}

fn runs(units: usize, length: usize, thinnings: usize) -> Vec<Window> {
    let run = |start: usize, thinning| {
        let range = vec![(start as u32, (start + length) as u32)];
        Window { thinning, drawn: range.clone(), set: range }
    };
    (0..thinnings).flat_map(|thinning| (0..=units - length).map(move |start| run(start, thinning))).collect()
}

/// A moving-block resample (Künsch 1989).
fn draw(number: usize, units: usize, length: usize, block: usize, thinnings: usize, seed: u64) -> Window {
    let mut generator = random::generator(seed, "drift-window", number as u64);
    let (mut drawn, mut left) = (Ranges::new(), length);
    while left > 0 {
        let size = block.min(left);
        let start = random::below(&mut generator, (units - size + 1) as u64) as u32;
        drawn.push((start, start + size as u32));
        left -= size;
    }
    let mut sorted = drawn.clone();
    sorted.sort_unstable();
    let mut set = Ranges::new();
    for (from, to) in sorted {
        match set.last_mut() {
            Some((_, end)) if *end >= from => *end = (*end).max(to),
            _ => set.push((from, to)),
        }
    }
    Window { thinning: number % thinnings, drawn, set }
}
