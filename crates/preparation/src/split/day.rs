//! Calendar days as people in a zone count them.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate, TimeZone};
use gristmill_types::{Column, Values};
use serde::{Deserialize, Serialize};

use super::SplitError;

/// Days since 1970-01-01 in some zone; written `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(pub i32);

/// Days from 0001-01-01 to 1970-01-01, chrono's day count to ours.
const EPOCH: i32 = 719_163;
const HOUR_MICROS: i64 = 3_600_000_000;

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NaiveDate::from_num_days_from_ce_opt(self.0.saturating_add(EPOCH)) {
            Some(date) => write!(f, "{}", date.format("%Y-%m-%d")),
            None => write!(f, "day {}", self.0),
        }
    }
}

impl FromStr for Day {
    type Err = SplitError;

    fn from_str(text: &str) -> Result<Self, SplitError> {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map(|date| Self(date.num_days_from_ce() - EPOCH))
            .map_err(|_| SplitError::Day(format!("`{}` is not a day: write YYYY-MM-DD", text.escape_debug())))
    }
}

impl TryFrom<String> for Day {
    type Error = SplitError;
    fn try_from(text: String) -> Result<Self, SplitError> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> String {
        day.to_string()
    }
}

/// The local day of every row of a date or timestamp column; `None` where it is null.
///
/// # Errors
/// [`SplitError`] if the column holds no days, or a timestamp has no (known) zone.
pub fn local_days(column: &Column) -> Result<Vec<Option<Day>>, SplitError> {
    let valid = |row: usize| column.is_valid(row);
    match &column.values {
        Values::Date(days) => Ok(days.iter().enumerate().map(|(row, day)| valid(row).then_some(Day(*day))).collect()),
        Values::Timestamp { zone: None, .. } => Err(SplitError::Naive(column.name.clone())),
        Values::Timestamp { zone: Some(zone), micros } => {
            let zone: chrono_tz::Tz = zone.parse().map_err(|_| SplitError::Zone(zone.clone()))?;
            // The moments of one hour of UTC are mostly of one local day; the zone is asked once per hour that has
            // no midnight or change of offset within it.
            let mut hours: HashMap<i64, Option<Day>> = HashMap::new();
            let day = |at: i64| {
                let hour = at.div_euclid(HOUR_MICROS);
                let whole = *hours.entry(hour).or_insert_with(|| {
                    let start = hour.saturating_mul(HOUR_MICROS);
                    let first = local_day(zone, start);
                    let last = local_day(zone, start.saturating_add(HOUR_MICROS - 1));
                    (first == last).then_some(first)
                });
                whole.unwrap_or_else(|| local_day(zone, at))
            };
            Ok(days_of(column, micros, day))
        }
        _ => Err(SplitError::Unfit {
            column: column.name.clone(),
            found: column.column_type().to_string(),
            method: "time",
            needed: "a date or a timestamp with a zone",
        }),
    }
}

/// The day of each row that is not null; a moment that its neighbour has too is not looked up again.
fn days_of(column: &Column, micros: &[i64], mut day: impl FnMut(i64) -> Day) -> Vec<Option<Day>> {
    let mut last: Option<(i64, Day)> = None;
    let each = |(row, at): (usize, &i64)| {
        if !column.is_valid(row) {
            return None;
        }
        let found = match last {
            Some((moment, found)) if moment == *at => found,
            _ => day(*at),
        };
        last = Some((*at, found));
        Some(found)
    };
    micros.iter().enumerate().map(each).collect()
}

fn local_day(zone: chrono_tz::Tz, micros: i64) -> Day {
    let local = zone.timestamp_micros(micros).earliest().map(|at| at.date_naive().num_days_from_ce() - EPOCH);
    // Outside chrono's years (262,000 of them) the zone's offset means nothing.
    Day(local.unwrap_or_else(|| i32::try_from(micros.div_euclid(86_400_000_000)).unwrap_or(i32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_local_one() {
        // 2013-01-01T02:30Z is still New Year's Eve in New York.
        let column = Column::with_valid(
            "at",
            Values::Timestamp { zone: Some("America/New_York".into()), micros: vec![1_357_007_400_000_000, 0] },
            vec![true, false],
        );
        let days = local_days(&column).unwrap();
        assert_eq!(days, [Some("2012-12-31".parse().unwrap()), None]);
        assert_eq!(days[0].unwrap().to_string(), "2012-12-31");
    }

    #[test]
    fn what_is_no_day_says_so() {
        assert!("31.12.2012".parse::<Day>().unwrap_err().to_string().contains("YYYY-MM-DD"));
        let naive = Column::new("at", Values::Timestamp { zone: None, micros: vec![0] });
        assert!(local_days(&naive).unwrap_err().to_string().contains("without a zone"));
        let number = Column::int("n", [Some(1)]);
        assert!(local_days(&number).unwrap_err().to_string().contains("a date or a timestamp"));
    }
}
