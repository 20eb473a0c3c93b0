//! Columns that tell the season: found by what they hold, whatever they are called.
//!
//! A model trained on less than two years has seen no season twice, so a month is to it the name of a stretch of
//! training. The calendar parts of timestamps leave the season out; a source's own `month`, `quarter` or `week` says the
//! same thing in a plain column.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Offset, TimeZone};
use chrono_tz::Tz;
use gristmill_types::{Column, ColumnType, Columns, Values};

use super::RecipeOptions;
use super::dates::{DAY_MICROS, TWO_YEARS_MICROS, moments, span};

const HOUR_MICROS: i64 = 3_600_000_000;
/// Rows that agree with their month (or day) at least, of those with a value.
const AGREE: f64 = 0.99;
/// A shorter stretch has too few months for a column to follow them.
const MIN_DAYS: i64 = 62;
/// Fewer rows per month agree by chance.
const MIN_ROWS_PER_MONTH: usize = 20;
/// A running number rises by at least this much: fewer values are anything.
const MIN_RISE: i64 = 4;
/// Of its steps from one day to the next, this share is no larger than the days between them.
const STEADY: f64 = 0.98;
/// Rows looked at first: few columns follow the calendar, and these tell.
const SAMPLE: usize = 4_096;
const NONE: u32 = u32::MAX;

/// The training rows on the calendar of the split time; none when nothing can or need be told by it.
#[derive(Debug)]
pub(super) struct Season(Option<Calendar>);

#[derive(Debug)]
struct Calendar {
    column: String,
    covered_days: i64,
    /// Place of each row's local day among `dates`; [`NONE`] without a time.
    day: Vec<u32>,
    /// Place of each day's month among the months.
    month: Vec<u32>,
    months: usize,
    /// Days since the epoch, rising.
    dates: Vec<i64>,
    /// How often the year changes from one day to the next.
    year_changes: usize,
}

impl Season {
    /// Reads the split time of `table`; there is nothing to tell without one, from two years on, or in too few days.
    pub(super) fn of(table: &Columns, options: &RecipeOptions) -> Self {
        let Some(split) = options.split_time.as_ref().and_then(|name| table.get(name)) else { return Self(None) };
        let all = moments(split);
        let covered = span(&all);
        if !(MIN_DAYS * DAY_MICROS..TWO_YEARS_MICROS).contains(&covered) {
            return Self(None);
        }
        let zone = match split.column_type() {
            ColumnType::Timestamp { zone: Some(zone) } => {
                options.zones.get(&split.name).cloned().unwrap_or(zone).parse().ok()
            }
            _ => None,
        };
        let mut offsets: BTreeMap<i64, i64> = BTreeMap::new();
        let mut local: Vec<Option<i64>> = vec![None; table.rows()];
        for (row, at) in all {
            // Offsets change on the hour; where they do not, an hour of one day decides nothing here.
            let hour = at.div_euclid(HOUR_MICROS);
            let offset = *offsets.entry(hour).or_insert_with(|| zone.map_or(0, |zone| offset(zone, hour)));
            if let Some(place) = local.get_mut(row) {
                *place = Some(at.saturating_add(offset).div_euclid(DAY_MICROS));
            }
        }
        Self(Some(Calendar::new(split.name.clone(), covered / DAY_MICROS, &local)))
    }

    /// In words, how `column` tells the season; none if it does not.
    pub(super) fn told_by(&self, column: &Column) -> Option<String> {
        let calendar = self.0.as_ref()?;
        let keys = Keys::of(column)?;
        let how = calendar.followed_by(column, &keys)?;
        Some(format!(
            "it {how} of `{}`, and training covers {} days and has seen no season twice",
            calendar.column, calendar.covered_days
        ))
    }
}

/// Offset in microseconds at the start of an hour since the epoch.
fn offset(zone: Tz, hour: i64) -> i64 {
    DateTime::from_timestamp(hour.saturating_mul(3_600), 0)
        .map_or(0, |utc| i64::from(zone.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc()) * 1_000_000)
}

/// Values to compare: whole numbers as they are, texts by code.
enum Keys<'a> {
    Int(&'a [i64]),
    Float(&'a [f64]),
    Code(&'a [u32]),
    Bool(&'a [bool]),
}

impl<'a> Keys<'a> {
    /// None of a column that is no whole number, text or truth value.
    fn of(column: &'a Column) -> Option<Self> {
        match &column.values {
            Values::Int(values) => Some(Self::Int(values)),
            // Whole numbers with nulls are often written with a point.
            Values::Float(values) => {
                let whole = |(row, v): (usize, &f64)| !column.is_valid(row) || v.is_nan() || v.fract() == 0.0;
                values.iter().enumerate().all(whole).then_some(Self::Float(values))
            }
            Values::Text(text) => Some(Self::Code(&text.codes)),
            Values::Bool(values) => Some(Self::Bool(values)),
            Values::Decimal { .. } | Values::Date(_) | Values::Timestamp { .. } => None,
        }
    }

    fn get(&self, row: usize) -> Option<i64> {
        match self {
            Self::Int(values) => values.get(row).copied(),
            Self::Float(values) => values.get(row).filter(|v| v.is_finite()).map(|v| *v as i64),
            Self::Code(codes) => codes.get(row).map(|code| i64::from(*code)),
            Self::Bool(values) => values.get(row).map(|v| i64::from(*v)),
        }
    }

    const fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Float(_))
    }
}

impl Calendar {
    fn new(column: String, covered_days: i64, local: &[Option<i64>]) -> Self {
        let mut dates: Vec<i64> = local.iter().flatten().copied().collect();
        dates.sort_unstable();
        dates.dedup();
        let place = |day: &Option<i64>| {
            day.and_then(|day| dates.binary_search(&day).ok()).and_then(|at| u32::try_from(at).ok()).unwrap_or(NONE)
        };
        let day = local.iter().map(place).collect();
        let (mut month, mut months, mut year_changes) = (Vec::with_capacity(dates.len()), 0, 0);
        let mut last: Option<(i32, u32)> = None;
        for date in &dates {
            let found =
                DateTime::from_timestamp(date.saturating_mul(86_400), 0).map_or((0, 0), |at| (at.year(), at.month()));
            if let Some(last) = last {
                year_changes += usize::from(last.0 != found.0);
            }
            if last != Some(found) {
                months += 1;
                last = Some(found);
            }
            month.push(months - 1);
        }
        Self { column, covered_days, day, month, months: months as usize, dates, year_changes }
    }

    fn followed_by(&self, column: &Column, keys: &Keys<'_>) -> Option<&'static str> {
        let rows = self.day.len();
        let step = rows.div_ceil(SAMPLE).max(1);
        let by_day = |row: usize| self.day.get(row).copied().unwrap_or(NONE);
        let by_month = |row: usize| self.month.get(by_day(row) as usize).copied().unwrap_or(NONE);
        let value = |row: usize| if column.is_valid(row) { keys.get(row) } else { None };
        let settled = |group: &dyn Fn(usize) -> u32, groups: usize| {
            // The sample first: it settles almost every column.
            majorities(rows, step, &value, group, groups)?;
            majorities(rows, 1, &value, group, groups)
        };
        if rows >= self.months * MIN_ROWS_PER_MONTH
            && let Some(monthly) = settled(&by_month, self.months)
        {
            let mut values: Vec<i64> = monthly.into_iter().flatten().collect();
            values.sort_unstable();
            values.dedup();
            if values.len() > 1 {
                return Some("has one value in each month");
            }
        }
        if !keys.is_number() {
            return None;
        }
        let daily = settled(&by_day, self.dates.len())?;
        self.counts_days(&daily).then_some("counts the days or weeks")
    }

    /// Whether the values of the days rise slowly and hardly ever fall, as a day or week of the year does and a day of the
    /// month does not.
    fn counts_days(&self, daily: &[Option<i64>]) -> bool {
        let known: Vec<(i64, i64)> =
            self.dates.iter().zip(daily).filter_map(|(date, value)| Some((*date, (*value)?))).collect();
        let (mut rise, mut falls, mut steady, mut steps) = (0_i64, 0, 0_usize, 0_usize);
        for pair in known.windows(2) {
            let [(from, before), (to, after)] = pair else { continue };
            let risen = after.saturating_sub(*before);
            steps += 1;
            steady += usize::from((0..=to - from).contains(&risen));
            if risen < 0 {
                falls += 1;
            } else {
                rise = rise.saturating_add(risen);
            }
        }
        falls <= self.year_changes.max(1) && rise >= MIN_RISE && steady as f64 >= STEADY * steps as f64
    }
}

/// The value that most rows of each group have; none unless nearly all rows have their group's.
///
/// Boyer and Moore's vote finds a majority in one pass if there is one; a second pass counts who agrees.
fn majorities(
    rows: usize,
    step: usize,
    value: &dyn Fn(usize) -> Option<i64>,
    group: &dyn Fn(usize) -> u32,
    groups: usize,
) -> Option<Vec<Option<i64>>> {
    let mut votes: Vec<(Option<i64>, usize)> = vec![(None, 0); groups];
    let mut seen = 0_usize;
    for row in (0..rows).step_by(step) {
        let (Some(value), Some(vote)) = (value(row), votes.get_mut(group(row) as usize)) else { continue };
        seen += 1;
        match vote {
            (Some(candidate), count) if *candidate == value => *count += 1,
            (_, 0) => *vote = (Some(value), 1),
            (_, count) => *count -= 1,
        }
    }
    let agrees = |row: &usize| match (value(*row), votes.get(group(*row) as usize)) {
        (Some(value), Some((candidate, _))) => *candidate == Some(value),
        _ => false,
    };
    let agreeing = (0..rows).step_by(step).filter(agrees).count();
    (seen > 0 && agreeing as f64 >= AGREE * seen as f64).then(|| votes.into_iter().map(|(value, _)| value).collect())
}
