//! Wall-clock time to UTC.

use chrono::{DateTime, LocalResult, TimeZone as _};
use chrono_tz::Tz;

use crate::source::parse_zone;

/// A zone in which naive values were written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wall(Tz);

impl Wall {
    pub fn new(zone: &str) -> Result<Self, String> {
        parse_zone(zone).map(Self)
    }

    /// Microseconds UTC of a wall-clock time.
    ///
    /// # Errors
    /// Says that the time exists twice or never in the zone.
    pub fn to_utc(self, wall: i64) -> Result<i64, String> {
        if self.0 == Tz::UTC {
            return Ok(wall);
        }
        let naive = DateTime::from_timestamp_micros(wall).ok_or("is out of range")?.naive_utc();
        match self.0.from_local_datetime(&naive) {
            LocalResult::Single(time) => Ok(time.timestamp_micros()),
            LocalResult::Ambiguous(..) => Err(format!(
                "the wall-clock time {naive} exists twice in {} (clocks went back): store times in UTC, or with their offset",
                self.0
            )),
            LocalResult::None => Err(format!(
                "the wall-clock time {naive} does not exist in {} (clocks went forward): the column was written in another zone; declare that one",
                self.0
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_york_changes_its_clocks() {
        let wall = Wall::new("America/New_York").unwrap();
        let at = |text: &str| crate::csv::cell::parse_timestamp(text).unwrap().0;
        assert_eq!(wall.to_utc(at("2013-01-01T01:00:00")), Ok(at("2013-01-01T06:00:00Z")));
        assert!(wall.to_utc(at("2013-11-03T01:30:00")).unwrap_err().contains("twice"));
        assert!(wall.to_utc(at("2013-03-10T02:30:00")).unwrap_err().contains("does not exist"));
        assert!(Wall::new("America/NewYork").unwrap_err().contains("America/New_York"));
    }
}
