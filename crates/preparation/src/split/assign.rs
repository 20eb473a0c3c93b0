//! Carries a plan out.

use std::collections::BTreeMap;

use gristmill_types::{Cell, Column, Columns, Digest, Text, Values};

use super::{Day, Method, Part, Plan, SplitError, local_days};

const DAY_SECONDS: i64 = 86_400;

/// Where each row goes, and its unit of dependence.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// One per row.
    pub parts: Vec<Part>,
    /// One per row: the local day of a time split, the group of a group split; `None` when the row
    /// is its own unit.
    pub units: Option<Text>,
    /// Days on which training ends and validation ends (inclusive), for a time split.
    pub until: Option<(Day, Day)>,
}

impl Assignment {
    /// The rows of `part`, ascending.
    pub fn rows(&self, part: Part) -> Vec<usize> {
        self.parts.iter().enumerate().filter(|(_, p)| **p == part).map(|(row, _)| row).collect()
    }
}

/// Assigns every row of `rows` by `plan`.
///
/// `keys` are the row keys; `target` is the column that a stratified split balances.
///
/// # Errors
/// [`SplitError::Empty`] if a split gets no row.
pub fn assign(plan: &Plan, rows: &Columns, keys: &[i64], target: &Column, seed: u64) -> Result<Assignment, SplitError> {
    let assignment = match (plan.method, plan.column.as_deref().and_then(|name| rows.get(name))) {
        (Method::Time, Some(column)) => by_time(plan, column)?,
        (Method::Group, Some(column)) => by_group(plan, column, seed),
        (Method::Time, None) => return Err(SplitError::NeedsColumn("time")),
        (Method::Group, None) => return Err(SplitError::NeedsColumn("group")),
        (Method::Hash, _) => alone(keys.iter().map(|key| by_share(plan, uniform(seed, &key.to_le_bytes()))).collect()),
        (Method::Random, _) => alone(by_rank(plan, &vec![0; keys.len()], keys, seed)),
        (Method::Stratified, _) => alone(by_rank(plan, &strata(target), keys, seed)),
    };
    for (part, name) in [(Part::Train, "train"), (Part::Validation, "validation"), (Part::Test, "test")] {
        if !assignment.parts.contains(&part) {
            return Err(SplitError::Empty { part: name, hint: hint(plan, rows.rows()) });
        }
    }
    Ok(assignment)
}

fn hint(plan: &Plan, rows: usize) -> String {
    match (plan.method, plan.until) {
        (Method::Time, Some((train, validation))) => {
            format!("check train_until ({train}) and validation_until ({validation}) against the data's days")
        }
        _ => format!("{rows} rows are too few for shares {:?}", plan.shares),
    }
}

const fn alone(parts: Vec<Part>) -> Assignment {
    Assignment { parts, units: None, until: None }
}

fn by_time(plan: &Plan, column: &Column) -> Result<Assignment, SplitError> {
    let days = local_days(column)?;
    let (train, validation) = plan.until.unwrap_or_else(|| boundaries(&days, plan.shares));
    // A gap shorter than a day still keeps whole days apart: days are the unit.
    let gap = i32::try_from((plan.gap_seconds.saturating_add(DAY_SECONDS - 1)) / DAY_SECONDS).unwrap_or(i32::MAX);
    let part = |day: Day| {
        if day <= train {
            if day.0 > train.0.saturating_sub(gap) { Part::Left } else { Part::Train }
        } else if day <= validation {
            if day.0 > validation.0.saturating_sub(gap) { Part::Left } else { Part::Validation }
        } else {
            Part::Test
        }
    };
    let parts = days.iter().map(|day| day.map_or(Part::Left, part)).collect();
    let units = coded(&days, |day| day.map(|day| day.to_string()).unwrap_or_default());
    Ok(Assignment { parts, units: Some(units), until: Some((train, validation)) })
}

/// The last days of training and validation that come closest to the shares from below.
fn boundaries(days: &[Option<Day>], shares: [f64; 3]) -> (Day, Day) {
    let mut counts: BTreeMap<Day, usize> = BTreeMap::new();
    for day in days.iter().flatten() {
        *counts.entry(*day).or_default() += 1;
    }
    let total: usize = counts.values().sum();
    let (mut seen, mut train, mut validation) = (0_usize, None, None);
    let [first, second, _] = shares;
    for (day, count) in &counts {
        seen += count;
        #[expect(clippy::cast_precision_loss, reason = "a share of rows")]
        let share = seen as f64 / total.max(1) as f64;
        if share <= first || train.is_none() {
            train = Some(*day);
        } else if share <= first + second + 1e-9 || validation.is_none() {
            validation = Some(*day);
        }
    }
    let train = train.unwrap_or(Day(0));
    (train, validation.unwrap_or(train))
}

fn by_group(plan: &Plan, column: &Column, seed: u64) -> Assignment {
    let groups: Vec<String> = (0..column.len()).map(|row| group(column.cell(row))).collect();
    let units = Text::from_rows(groups.iter().map(|unit| Some(unit.as_str()))).0;
    let drawn: Vec<Part> = units.values.iter().map(|unit| by_share(plan, uniform(seed, unit.as_bytes()))).collect();
    let parts = units.codes.iter().map(|code| drawn.get(*code as usize).copied().unwrap_or(Part::Left)).collect();
    Assignment { parts, units: Some(units), until: None }
}

/// Rows as codes of their distinct values in order of first appearance, each written out once.
fn coded<K: Ord + Copy>(rows: &[K], write: impl Fn(&K) -> String) -> Text {
    let mut seen: BTreeMap<K, u32> = BTreeMap::new();
    let mut text = Text { codes: Vec::with_capacity(rows.len()), values: Vec::new() };
    let mut last: Option<(K, u32)> = None;
    for row in rows {
        // Neighbours are often alike: rows of one day come together.
        let code = match last {
            Some((key, code)) if key == *row => code,
            _ => *seen.entry(*row).or_insert_with(|| {
                text.values.push(write(row));
                u32::try_from(text.values.len() - 1).unwrap_or(u32::MAX)
            }),
        };
        last = Some((*row, code));
        text.codes.push(code);
    }
    text
}

fn group(cell: Cell<'_>) -> String {
    match cell {
        Cell::Missing => String::new(),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::Float(value) => value.to_string(),
        Cell::Decimal { scale, unscaled } => format!("{unscaled}e-{scale}"),
        Cell::Text(value) => value.to_owned(),
        Cell::Date(value) => Day(value).to_string(),
        Cell::Timestamp(value) => value.to_string(),
    }
}

/// A number in [0, 1) that depends on `seed` and `bytes` alone.
fn uniform(seed: u64, bytes: &[u8]) -> f64 {
    let digest = Digest::of(&[seed.to_le_bytes().as_slice(), bytes].concat());
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    let bits = u64::from_le_bytes([a, b, c, d, e, f, g, h]) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let bits = bits as f64;
    bits / 9_007_199_254_740_992.0
}

fn by_share(plan: &Plan, draw: f64) -> Part {
    let [train, validation, _] = plan.shares;
    if draw < train {
        Part::Train
    } else if draw < train + validation {
        Part::Validation
    } else {
        Part::Test
    }
}

/// Orders each stratum by a seeded hash of the row key and cuts it at the shares.
fn by_rank(plan: &Plan, strata: &[u32], keys: &[i64], seed: u64) -> Vec<Part> {
    let mut members: BTreeMap<u32, Vec<(f64, i64, usize)>> = BTreeMap::new();
    for (row, (stratum, key)) in strata.iter().zip(keys).enumerate() {
        members.entry(*stratum).or_default().push((uniform(seed, &key.to_le_bytes()), *key, row));
    }
    let mut parts = vec![Part::Train; keys.len()];
    for rows in members.values_mut() {
        rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        #[expect(clippy::cast_precision_loss, reason = "a share of rows")]
        let size = rows.len() as f64;
        for (rank, (_, _, row)) in rows.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a share of rows")]
            let at = (rank as f64 + 0.5) / size;
            parts[*row] = by_share(plan, at);
        }
    }
    parts
}

/// The class of each row, or the tenth of its target's range of ranks; nulls are a stratum.
fn strata(target: &Column) -> Vec<u32> {
    const NULL: u32 = u32::MAX;
    let null_or = |row: usize, stratum: u32| if target.is_valid(row) { stratum } else { NULL };
    match &target.values {
        Values::Text(text) => text.codes.iter().enumerate().map(|(row, code)| null_or(row, *code)).collect(),
        Values::Bool(values) => values.iter().enumerate().map(|(row, v)| null_or(row, u32::from(*v))).collect(),
        _ => {
            let number = |row: usize| match target.cell(row) {
                #[expect(clippy::cast_precision_loss, reason = "only the order matters")]
                Cell::Int(value) => Some(value as f64),
                Cell::Float(value) if !value.is_nan() => Some(value),
                #[expect(clippy::cast_precision_loss, reason = "only the order matters")]
                Cell::Decimal { unscaled, .. } => Some(unscaled as f64),
                _ => None,
            };
            let mut distinct: Vec<f64> = (0..target.len()).filter_map(number).collect();
            distinct.sort_by(f64::total_cmp);
            let values = distinct.clone();
            distinct.dedup();
            // Few distinct numbers are classes; many are cut into tenths.
            let edges: Vec<f64> = if distinct.len() <= 20 {
                distinct
            } else {
                (1..10).filter_map(|tenth| values.get(values.len() * tenth / 10).copied()).collect()
            };
            (0..target.len())
                .map(|row| {
                    number(row).map_or(NULL, |value| {
                        u32::try_from(edges.partition_point(|edge| *edge <= value)).unwrap_or(NULL)
                    })
                })
                .collect()
        }
    }
}
