//! Distances between a baseline and live rows, with thresholds calibrated on the baseline itself.
//!
//! With enough rows every p-value rejects and with few rows every fixed PSI bound is exceeded by chance, so
//! a live window is judged against windows of the same length cut from the reference: blocks of
//! consecutive units (days) are drawn, each drawn window is compared with the rest of the reference, and a
//! column has drifted when it is further away than all but a tiny share of these.

mod bins;
mod distance;
mod null;
mod trend;
mod window;

use std::collections::BTreeMap;

use gristmill_types::{Column, ColumnType, Columns};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use bins::Binning;
pub use distance::{jensen_shannon, psi};
use window::Windows;

/// How a comparison is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DriftOptions {
    /// Columns that are not compared, each with the reason: those derived from the split time, the target.
    pub exclude: BTreeMap<String, String>,
    /// The column that names each row's unit of dependence; without it rows are taken as independent.
    pub unit_column: String,
    /// Quantile bins of a number.
    pub bins: usize,
    /// Categories with a smaller share of the reference are pooled.
    pub rare_share: f64,
    /// Chance that a window without drift has any drifted column: shared out over the columns compared (Bonferroni).
    pub false_alarm: f64,
    /// Windows drawn from the reference.
    pub resamples: usize,
    /// Fewer live rows are not judged.
    pub min_rows: usize,
    /// A reference with fewer units cannot calibrate a threshold.
    pub min_units: usize,
    /// Consecutive units per block; 0 for the cube root of the number of units (Hall, Horowitz and Jing, 1995).
    pub block_units: usize,
    /// A smaller PSI is never drift, however many rows show it.
    pub least_psi: f64,
    /// Seed of the windows.
    pub seed: u64,
}

impl Default for DriftOptions {
    fn default() -> Self {
        Self {
            exclude: BTreeMap::new(),
            unit_column: "_unit".into(),
            bins: 10,
            rare_share: 0.01,
            false_alarm: 0.02,
            resamples: 4_000,
            min_rows: 100,
            min_units: 30,
            block_units: 0,
            least_psi: 0.05,
            seed: 0,
        }
    }
}

/// What is said of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftVerdict {
    /// As far from the reference as windows of the reference are.
    Stable,
    /// Further.
    Drifted,
    /// Too few rows or units to say.
    Insufficient,
    /// Not compared, for the reason given.
    Excluded,
}

/// The comparison of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnDrift {
    /// Name.
    pub name: String,
    /// Type in the reference.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// What is said of it.
    pub verdict: DriftVerdict,
    /// Why it is excluded or not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Population stability index over bins fixed on the reference.
    #[serde(default)]
    pub psi: Option<f64>,
    /// Largest PSI without drift.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// Jensen-Shannon distance over the same bins, base 2: 0 equal, 1 disjoint.
    #[serde(default)]
    pub jensen_shannon: Option<f64>,
    /// What the calibration that gives `threshold` gives for this distance; it informs.
    #[serde(default)]
    pub jensen_shannon_threshold: Option<f64>,
    /// Share of missing values (NaN among them) in the reference.
    #[serde(default)]
    pub reference_missing: f64,
    /// Share of missing values in the live rows.
    #[serde(default)]
    pub live_missing: f64,
    /// Share of live values never seen in the reference: unknown categories, numbers beyond the extremes.
    #[serde(default)]
    pub new_values: f64,
    /// Share of rows per bin.
    #[serde(default)]
    pub bins: Vec<BinShare>,
}

/// One bin's shares of all rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinShare {
    /// Range, category, `other` or `missing`.
    pub label: String,
    /// Share of the reference.
    pub reference: f64,
    /// Share of the live rows.
    pub live: f64,
}

/// The comparison of live rows with a reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// [`DriftVerdict::Drifted`] if any column is, [`DriftVerdict::Insufficient`] if there is too little data to judge.
    pub verdict: DriftVerdict,
    /// Why nothing was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Rows of the reference.
    pub reference_rows: u64,
    /// Live rows.
    pub live_rows: u64,
    /// Units of the reference.
    pub reference_units: u64,
    /// Units of the live rows.
    pub live_units: u64,
    /// Windows that calibrated the thresholds.
    pub null_windows: u64,
    /// Null quantile of each threshold, after control for the number of columns.
    pub level: f64,
    /// How the comparison was made.
    pub options: DriftOptions,
    /// Every column of the reference that is not reserved, in order.
    pub columns: Vec<ColumnDrift>,
}

impl DriftReport {
    /// Names of the drifted columns.
    pub fn drifted(&self) -> Vec<&str> {
        self.columns.iter().filter(|c| c.verdict == DriftVerdict::Drifted).map(|c| c.name.as_str()).collect()
    }

    /// The comparison of column `name`.
    pub fn get(&self, name: &str) -> Option<&ColumnDrift> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Compares `live` with `reference`; the same seed gives the same report at any number of threads.
///
/// Reference rows carry their unit in [`DriftOptions::unit_column`]; units that are ISO dates are taken in
/// their order, others in order of first appearance.
pub fn drift(reference: &Columns, live: &Columns, options: &DriftOptions) -> DriftReport {
    let shown: Vec<&Column> = reference.columns().iter().filter(|column| !column.name.starts_with('_')).collect();
    let dated = window::dated_units(reference, options);
    let pairs: Vec<(&Column, Result<&Column, String>)> =
        shown.par_iter().map(|column| (*column, partner(column, live, dated.as_ref(), options))).collect();
    let compared = pairs.iter().filter(|(_, partner)| partner.is_ok()).count().max(1);
    let level = 1.0 - (options.false_alarm / compared as f64).clamp(0.0, 1.0);
    let windows = window::windows(reference, live, options);
    let columns: Vec<ColumnDrift> = pairs
        .par_iter()
        .map(|(column, partner)| match (partner, &windows) {
            (Err(reason), _) => unjudged(column, DriftVerdict::Excluded, reason),
            (Ok(live), windows) => compare(column, live, windows.as_ref(), level, options),
        })
        .collect();
    let any = |verdict| columns.iter().any(|column| column.verdict == verdict);
    let verdict = if windows.is_err() {
        DriftVerdict::Insufficient
    } else if any(DriftVerdict::Drifted) {
        DriftVerdict::Drifted
    } else if any(DriftVerdict::Stable) {
        DriftVerdict::Stable
    } else {
        DriftVerdict::Excluded
    };
    let units = window::unit_counts(reference, live, options);
    DriftReport {
        verdict,
        reason: windows.as_ref().err().cloned(),
        reference_rows: reference.rows() as u64,
        live_rows: live.rows() as u64,
        reference_units: units.0 as u64,
        live_units: units.1 as u64,
        null_windows: windows.as_ref().map_or(0, Windows::len) as u64,
        level,
        options: options.clone(),
        columns,
    }
}

/// The live column to compare with, or why there is none.
fn partner<'a>(
    column: &Column,
    live: &'a Columns,
    dated: Option<&(Vec<u32>, usize)>,
    options: &DriftOptions,
) -> Result<&'a Column, String> {
    if let Some(reason) = options.exclude.get(&column.name) {
        return Err(reason.clone());
    }
    if matches!(column.column_type(), ColumnType::Date | ColumnType::Timestamp { .. }) {
        return Err("a moment moves with time".into());
    }
    if column.column_type().is_numeric()
        && let Some(correlation) = dated.and_then(|(unit_of, units)| trend::follows(column, unit_of, *units))
    {
        return Err(format!("follows the order of the days (rank correlation {correlation:.2}): it tells the time"));
    }
    let live = live.get(&column.name).ok_or("not among the live columns")?;
    let (was, is) = (column.column_type(), live.column_type());
    let comparable = was == is || (was.is_numeric() && is.is_numeric());
    // A column without any value has no type of its own: many readers call it text.
    if comparable || live.null_count() == live.len() {
        Ok(live)
    } else {
        Err(format!("the type changed from {was} to {is}"))
    }
}

fn unjudged(column: &Column, verdict: DriftVerdict, reason: &str) -> ColumnDrift {
    ColumnDrift {
        name: column.name.clone(),
        column_type: column.column_type(),
        verdict,
        reason: Some(reason.to_owned()),
        psi: None,
        threshold: None,
        jensen_shannon: None,
        jensen_shannon_threshold: None,
        reference_missing: 0.0,
        live_missing: 0.0,
        new_values: 0.0,
        bins: Vec::new(),
    }
}

fn compare(
    column: &Column,
    live: &Column,
    windows: Result<&Windows, &String>,
    level: f64,
    options: &DriftOptions,
) -> ColumnDrift {
    let binning = Binning::fit(column, options);
    let codes = binning.codes(column);
    let (before, after) = (binning.count(&codes), binning.count(&binning.codes(live)));
    let mut result = unjudged(column, DriftVerdict::Insufficient, "");
    result.reason = windows.err().cloned();
    result.psi = Some(psi(&before, &after)).filter(|_| !live.is_empty());
    result.jensen_shannon = Some(jensen_shannon(&before, &after)).filter(|_| !live.is_empty());
    let share = |count: Option<&u64>, rows: usize| count.map_or(0.0, |c| *c as f64 / rows.max(1) as f64);
    result.reference_missing = share(before.last(), column.len());
    result.live_missing = share(after.last(), live.len());
    result.new_values = binning.new_share(live);
    let counts = before.iter().zip(&after).enumerate();
    result.bins = counts
        .map(|(place, (a, b))| BinShare {
            label: binning.label(place),
            reference: share(Some(a), column.len()),
            live: share(Some(b), live.len()),
        })
        .collect();
    if let (Ok(windows), Some(found)) = (windows, result.psi) {
        let (threshold, js) = null::thresholds(&codes, binning.len(), windows, level);
        let threshold = threshold.max(options.least_psi);
        result.threshold = Some(threshold);
        result.jensen_shannon_threshold = Some(js);
        result.verdict = if found > threshold { DriftVerdict::Drifted } else { DriftVerdict::Stable };
    }
    result
}
