//! Calendar arithmetic on days and seconds since the epoch, and the one reading of date and time text.
//!
//! `civil`, `days` and `weekday` are Howard Hinnant's `civil_from_days`, `days_from_civil` and
//! `weekday_from_days` (<https://howardhinnant.github.io/date_algorithms.html>), proleptic Gregorian.

use gristmill_types::Micros;

use crate::proto;

pub(crate) const SECONDS_PER_DAY: i64 = 86_400;
pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;

/// A calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

/// Offsets of one zone from UTC, by moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Zone {
    first_offset: i64,
    /// (second UTC from which the offset holds, offset in seconds), ascending.
    transitions: Vec<(i64, i64)>,
}

impl Zone {
    /// Takes a checked table.
    pub(crate) fn new(first_offset: i64, transitions: Vec<(i64, i64)>) -> Self {
        Self { first_offset, transitions }
    }

    /// Offset in force at `seconds` UTC.
    pub(crate) fn offset(&self, seconds: i64) -> i64 {
        let after = self.transitions.partition_point(|(at, _)| *at <= seconds);
        after.checked_sub(1).and_then(|i| self.transitions.get(i)).map_or(self.first_offset, |(_, offset)| *offset)
    }
}

/// The day `days` after 1970-01-01.
pub(crate) const fn civil(days: i64) -> Civil {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    Civil {
        year: year_of_era + era * 400 + if month <= 2 { 1 } else { 0 },
        month,
        day: day_of_year - (153 * shifted + 2) / 5 + 1,
    }
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar.
pub(crate) const fn days(date: Civil) -> i64 {
    let year = date.year - if date.month <= 2 { 1 } else { 0 };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = if date.month > 2 { date.month - 3 } else { date.month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + date.day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Monday is 1, Sunday is 7 (1970-01-01 was a Thursday).
pub(crate) const fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// One calendar part of a moment, local to `zone` (none: UTC, or the wall clock of a naive timestamp).
pub(crate) fn part(micros: Micros, part: proto::date_part::Part, zone: Option<&Zone>) -> f64 {
    use proto::date_part::Part;
    let utc = micros.div_euclid(MICROS_PER_SECOND);
    let local = utc + zone.map_or(0, |zone| zone.offset(utc));
    let day = local.div_euclid(SECONDS_PER_DAY);
    let second = local.rem_euclid(SECONDS_PER_DAY);
    let value = match part {
        Part::Unspecified | Part::EpochSeconds => utc,
        Part::Year => civil(day).year,
        Part::Month => civil(day).month,
        Part::Day => civil(day).day,
        Part::Weekday => weekday(day),
        Part::Hour => second / 3_600,
        Part::Minute => second / 60 % 60,
        Part::DayOfYear => day - days(Civil { month: 1, day: 1, ..civil(day) }) + 1,
        Part::MinuteOfDay => second / 60,
    };
    value as f64
}

/// Reads `YYYY-MM-DD` as days since the epoch; years beyond four digits have a sign, as in ISO 8601.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let (year, rest) = text.as_bytes().split_at_checked(text.len().checked_sub(6)?)?;
    let [b'-', m0, m1, b'-', d0, d1] = rest else { return None };
    let year = match year {
        [b'-', digits @ ..] if (4..=7).contains(&digits.len()) => -number(digits)?,
        [b'+', digits @ ..] if (4..=7).contains(&digits.len()) => number(digits)?,
        digits if digits.len() == 4 => number(digits)?,
        _ => return None,
    };
    let date = Civil { year, month: number(&[*m0, *m1])?, day: number(&[*d0, *d1])? };
    let days = days(date);
    // The round trip refuses the 30th of February and the 13th month.
    if !(1..=12).contains(&date.month) || date.day < 1 || civil(days) != date {
        return None;
    }
    i32::try_from(days).ok()
}

/// Reads RFC 3339 with an offset (`zoned`) or the same without one, `T` or a space between, up to six
/// decimals of a second; microseconds since the epoch.
pub(crate) fn parse_timestamp(text: &str, zoned: bool) -> Option<Micros> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let day = i64::from(parse_date(date)?);
    let offset_at = rest.find(['Z', 'z', '+', '-']);
    let (time, offset) = match offset_at {
        Some(at) if zoned => (rest.get(..at)?, parse_offset(rest.get(at..)?)?),
        None if !zoned => (rest, 0),
        _ => return None,
    };
    let (clock, fraction) = time.split_once('.').map_or((time, None), |(clock, fraction)| (clock, Some(fraction)));
    let [h0, h1, b':', m0, m1, seconds @ ..] = clock.as_bytes() else { return None };
    let second = match seconds {
        [] if fraction.is_none() => 0,
        [b':', s0, s1] => number(&[*s0, *s1])?,
        _ => return None,
    };
    let (hour, minute) = (number(&[*h0, *h1])?, number(&[*m0, *m1])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros = fraction.map_or(Some(0), parse_fraction)?;
    let seconds = day * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second - offset;
    i64::try_from(i128::from(seconds) * i128::from(MICROS_PER_SECOND) + i128::from(micros)).ok()
}

/// Writes a moment as RFC 3339 (`zoned`: with `Z`), with decimals only where there are any.
pub(crate) fn write_timestamp(out: &mut impl std::fmt::Write, micros: Micros, zoned: bool) -> std::fmt::Result {
    let seconds = micros.div_euclid(MICROS_PER_SECOND);
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    write_date(out, seconds.div_euclid(SECONDS_PER_DAY))?;
    write!(out, "T{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)?;
    let fraction = micros.rem_euclid(MICROS_PER_SECOND);
    if fraction != 0 {
        write!(out, ".{fraction:06}")?;
    }
    if zoned { out.write_char('Z') } else { Ok(()) }
}

/// Writes a day as `YYYY-MM-DD`.
pub(crate) fn write_date(out: &mut impl std::fmt::Write, days: i64) -> std::fmt::Result {
    let Civil { year, month, day } = civil(days);
    if (0..=9_999).contains(&year) {
        write!(out, "{year:04}-{month:02}-{day:02}")
    } else {
        write!(out, "{year:+05}-{month:02}-{day:02}")
    }
}

fn parse_offset(text: &str) -> Option<i64> {
    match text.as_bytes() {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hour, minute) = (number(&[*h0, *h1])?, number(&[*m0, *m1])?);
            let seconds = (hour <= 23 && minute <= 59).then_some(hour * 3_600 + minute * 60)?;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn parse_fraction(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 6 {
        return None;
    }
    let scale = (text.len()..6).fold(1, |scale, _| scale * 10);
    Some(number(text.as_bytes())? * scale)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::date_part::Part;

    #[test]
    fn days_and_civil_are_inverse_and_weekdays_follow_each_other() {
        let mut before = weekday(-800_000);
        for day in -799_999..800_000 {
            assert_eq!(days(civil(day)), day);
            let today = weekday(day);
            assert_eq!(today, before % 7 + 1);
            before = today;
        }
        assert_eq!(civil(0), Civil { year: 1970, month: 1, day: 1 });
        assert_eq!(weekday(0), 4);
        assert_eq!(civil(-1), Civil { year: 1969, month: 12, day: 31 });
    }

    #[test]
    fn text_is_read_strictly() {
        assert_eq!(parse_date("2000-02-29"), Some(11_016));
        for wrong in ["2001-02-29", "2001-13-01", "2001-1-01", "01-01-2001", "2001-00-10", "2001-01-00", ""] {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
        assert_eq!(parse_timestamp("1970-01-01T00:00:01Z", true), Some(1_000_000));
        assert_eq!(parse_timestamp("1970-01-01 01:00:00.25+01:00", true), Some(250_000));
        assert_eq!(parse_timestamp("1970-01-01T00:01", false), Some(60_000_000));
        for wrong in
            ["1970-01-01T00:00:00", "1970-01-01", "1970-01-01T24:00:00Z", "1970-01-01T00:00:00+1:00", "é970-01-01T0"]
        {
            assert_eq!(parse_timestamp(wrong, true), None, "{wrong}");
        }
        assert_eq!(parse_timestamp("1970-01-01T00:00:00Z", false), None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for micros in
            [0, -1, 1_357_016_400_000_000, 253_402_300_800_000_000, -62_167_219_200_000_001, i64::MAX, i64::MIN + 1]
        {
            let mut text = String::new();
            write_timestamp(&mut text, micros, true).unwrap();
            assert_eq!(parse_timestamp(&text, true), Some(micros), "{text}");
        }
    }

    #[test]
    fn parts_are_local_to_the_zone() {
        // New York: UTC-5 until 2013-03-10T07:00Z, then UTC-4.
        let zone = Zone::new(-18_000, vec![(1_362_898_800, -14_400)]);
        let at = |text| parse_timestamp(text, true).unwrap();
        assert_eq!(part(at("2013-03-10T06:59:59Z"), Part::Hour, Some(&zone)), 1.0);
        assert_eq!(part(at("2013-03-10T07:00:00Z"), Part::Hour, Some(&zone)), 3.0);
        assert_eq!(part(at("2013-03-11T03:30:00Z"), Part::Weekday, Some(&zone)), 7.0);
        assert_eq!(part(at("2013-03-11T03:30:00Z"), Part::Weekday, None), 1.0);
        assert_eq!(part(at("2013-12-31T23:45:10Z"), Part::DayOfYear, None), 365.0);
        assert_eq!(part(at("2012-12-31T23:45:10Z"), Part::DayOfYear, None), 366.0);
        assert_eq!(part(at("2012-12-31T23:45:10Z"), Part::MinuteOfDay, None), 1_425.0);
        assert_eq!(part(-1, Part::EpochSeconds, None), -1.0);
    }
}
