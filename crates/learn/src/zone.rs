//! UTC offsets of a time zone, written into the model so that no reader needs a zone database.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;
use gristmill_model::proto;

use crate::LearnError;

/// Transitions are recorded from 1970 …
const FIRST: i64 = 0;
/// … to 2100-01-01T00:00:00Z.
const LAST: i64 = 4_102_444_800;
const DAY: i64 = 86_400;

/// The offset table of an IANA zone between 1970 and 2100.
///
/// # Errors
/// [`LearnError::Column`] names the column if the zone is not known.
pub fn zone_table(column: &str, zone: &str) -> Result<proto::ZoneTable, LearnError> {
    let tz: Tz = zone.parse().map_err(|_| {
        LearnError::column(column, format!("`{zone}` is not an IANA time zone: write one such as America/New_York"))
    })?;
    let first_offset = offset(tz, FIRST);
    let mut table = proto::ZoneTable { name: zone.into(), first_offset, at: Vec::new(), offset: Vec::new() };
    let (mut day, mut current) = (FIRST, first_offset);
    while day < LAST {
        let next = day + DAY;
        let later = offset(tz, next);
        if later != current {
            // No zone changes its offset twice within one day and returns, so halving finds it.
            let (mut before, mut after) = (day, next);
            while after - before > 1 {
                let middle = before + (after - before) / 2;
                if offset(tz, middle) == current { before = middle } else { after = middle }
            }
            table.at.push(after);
            table.offset.push(later);
            current = later;
        }
        day = next;
    }
    Ok(table)
}

fn offset(tz: Tz, seconds: i64) -> i32 {
    let Some(utc) = DateTime::from_timestamp(seconds, 0) else { return 0 };
    tz.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_york_changes_where_the_law_says() {
        let table = zone_table("t", "America/New_York").unwrap();
        assert_eq!(table.first_offset, -5 * 3600);
        // 2013-03-10T07:00:00Z and 2013-11-03T06:00:00Z.
        for (moment, offset) in [(1_362_898_800_i64, -4 * 3600), (1_383_458_400, -5 * 3600)] {
            let at = table.at.iter().position(|at| *at == moment).unwrap();
            assert_eq!(table.offset[at], offset);
        }
        assert!(zone_table("t", "Mars/Olympus").unwrap_err().to_string().contains("IANA"));
    }
}
