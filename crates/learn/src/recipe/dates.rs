//! Calendar parts and elapsed times of dates and timestamps.

use gristmill_model::proto::date_part;
use gristmill_types::{Column, ColumnType, Columns, Micros, Values};
use serde::{Deserialize, Serialize};

use super::{ColumnPlan, ElapsedPlan, RecipeOptions, Treatment};
use crate::LearnError;

pub(super) const DAY_MICROS: i64 = 86_400_000_000;
/// Calendar features of a shorter stretch have not been seen twice.
pub(super) const TWO_YEARS_MICROS: i64 = 730 * DAY_MICROS;

/// A calendar part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The year.
    Year,
    /// 1 to 12.
    Month,
    /// 1 to 31.
    Day,
    /// Monday is 1, Sunday is 7.
    Weekday,
    /// 0 to 23.
    Hour,
    /// Minutes since local midnight.
    MinuteOfDay,
    /// 1 to 366.
    DayOfYear,
}

impl Part {
    /// The part as the model message names it.
    pub const fn to_proto(self) -> date_part::Part {
        match self {
            Self::Year => date_part::Part::Year,
            Self::Month => date_part::Part::Month,
            Self::Day => date_part::Part::Day,
            Self::Weekday => date_part::Part::Weekday,
            Self::Hour => date_part::Part::Hour,
            Self::MinuteOfDay => date_part::Part::MinuteOfDay,
            Self::DayOfYear => date_part::Part::DayOfYear,
        }
    }

    /// The end of a feature's name.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Weekday => "weekday",
            Self::Hour => "hour",
            Self::MinuteOfDay => "minute_of_day",
            Self::DayOfYear => "day_of_year",
        }
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day of the month",
            Self::Weekday => "weekday",
            Self::Hour => "hour",
            Self::MinuteOfDay => "minute of the day",
            Self::DayOfYear => "day of the year",
        }
    }
}

/// The moments of a date or timestamp column, in microseconds, nulls left out.
pub(super) fn moments(column: &Column) -> Vec<(usize, Micros)> {
    let valid = |row: &usize| column.is_valid(*row);
    match &column.values {
        Values::Date(days) => {
            (0..days.len()).filter(valid).map(|row| (row, i64::from(days[row]) * DAY_MICROS)).collect()
        }
        Values::Timestamp { micros, .. } => (0..micros.len()).filter(valid).map(|row| (row, micros[row])).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn span(moments: &[(usize, Micros)]) -> i64 {
    let low = moments.iter().map(|(_, at)| *at).min().unwrap_or(0);
    let high = moments.iter().map(|(_, at)| *at).max().unwrap_or(0);
    high.saturating_sub(low)
}

/// Whether `column` moves with `other`: their difference spans less than a tenth of `other`'s span.
fn moves_with(column: &Column, other: &Column) -> bool {
    let reference = moments(other);
    // Both are in the order of rows.
    let mut bases = reference.iter().peekable();
    let differences: Vec<(usize, Micros)> = moments(column)
        .into_iter()
        .filter_map(|(row, at)| {
            while bases.next_if(|(base, _)| *base < row).is_some() {}
            bases.peek().filter(|(base, _)| *base == row).map(|(_, base)| (row, at.saturating_sub(*base)))
        })
        .collect();
    !differences.is_empty() && span(&differences) < span(&reference) / 10
}

/// The zone in which a column's parts are read, if it is not wall clock.
fn zone_of(column: &Column, options: &RecipeOptions) -> Result<Option<String>, LearnError> {
    let declared = options.zones.get(&column.name);
    match column.column_type() {
        ColumnType::Timestamp { zone: Some(zone) } => Ok(Some(declared.cloned().unwrap_or(zone))),
        // Wall-clock values are local already: the declaration says whose wall.
        ColumnType::Timestamp { zone: None } if declared.is_some() => Ok(None),
        ColumnType::Timestamp { zone: None } => Err(LearnError::column(
            &column.name,
            "it has wall-clock times without a time zone: declare the zone, such as America/New_York, or exclude it",
        )),
        _ => Ok(None),
    }
}

/// Decides the parts of one date or timestamp column.
pub(super) fn plan(
    column: &Column,
    table: &Columns,
    options: &RecipeOptions,
) -> Result<(Treatment, String), LearnError> {
    let zone = zone_of(column, options)?;
    let all = moments(column);
    let covered = span(&all);
    let split = options.split_time.as_ref().and_then(|name| table.get(name));
    let is_split = split.is_some_and(|split| split.name == column.name);
    let like_split = is_split || split.is_some_and(|split| moves_with(column, split));
    let mut parts = Vec::new();
    if matches!(column.column_type(), ColumnType::Timestamp { .. }) {
        let minutes = all.iter().any(|(_, at)| at.rem_euclid(3_600_000_000) != 0);
        if all.iter().any(|(_, at)| at.rem_euclid(DAY_MICROS) != 0) {
            parts.push(Part::Hour);
            if minutes {
                parts.push(Part::MinuteOfDay);
            }
        }
    }
    parts.push(Part::Weekday);
    let mut why = String::from("it is a point in time");
    if covered >= TWO_YEARS_MICROS {
        parts.extend([Part::Month, Part::Day, Part::DayOfYear]);
        if like_split {
            why.push_str("; its year is left out, because prediction happens in years not seen in training");
        } else {
            parts.push(Part::Year);
        }
    } else {
        let days = covered / DAY_MICROS;
        why.push_str(&format!(
            "; month, day of the year and year are left out, because training covers {days} days and has seen no season twice"
        ));
    }
    Ok((Treatment::DateParts { parts, zone }, why))
}

/// The time between the split column and each other timestamp that is used.
pub(super) fn elapsed(table: &Columns, plans: &[ColumnPlan], options: &RecipeOptions) -> Vec<ElapsedPlan> {
    let Some(split) = options.split_time.as_ref().and_then(|name| table.get(name)) else { return Vec::new() };
    let used = |name: &str| {
        plans.iter().any(|plan| plan.column == name && matches!(plan.treatment, Treatment::DateParts { .. }))
    };
    let kind = |column: &Column| match column.column_type() {
        ColumnType::Timestamp { zone } => Some(zone.is_some()),
        _ => None,
    };
    if !used(&split.name) || kind(split).is_none() {
        return Vec::new();
    }
    table
        .columns()
        .iter()
        .filter(|column| column.name != split.name && used(&column.name) && kind(column) == kind(split))
        .map(|column| ElapsedPlan {
            from: column.name.clone(),
            to: split.name.clone(),
            why: format!("seconds from `{}` to `{}`", column.name, split.name),
        })
        .collect()
}
