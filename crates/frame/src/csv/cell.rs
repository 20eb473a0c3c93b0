//! One field of text as a value.

use chrono::NaiveDate;

/// `true`/`false` in the usual spellings; with `digits`, `1` and `0` too.
pub(crate) fn parse_bool(text: &str, digits: bool) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        "1" | "t" | "T" | "yes" | "Yes" | "YES" if digits => Some(true),
        "0" | "f" | "F" | "no" | "No" | "NO" if digits => Some(false),
        _ => None,
    }
}

/// A whole number as people write it: no plus sign, no leading zeros (those are codes, not numbers).
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    match digits {
        [] => None,
        [b'0', _, ..] => None,
        _ if digits.iter().all(u8::is_ascii_digit) => text.parse().ok(),
        _ => None,
    }
}

/// A decimal number, `NaN`, `inf` or `-inf`.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    match text {
        "NaN" | "nan" => return Some(f64::NAN),
        "inf" | "Inf" | "Infinity" => return Some(f64::INFINITY),
        "-inf" | "-Inf" | "-Infinity" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text).as_bytes();
    match digits {
        [b'0', b'0'..=b'9', ..] => None,
        [b'0'..=b'9' | b'.', ..] => text.parse().ok(),
        _ => None,
    }
}

/// An exact decimal × 10^scale; none if it has more digits after the point than `scale`.
pub(crate) fn parse_decimal(text: &str, scale: u32) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let missing = (scale as usize).checked_sub(fraction.len())?;
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    for _ in 0..missing {
        value = value.checked_mul(10)?;
    }
    // 38 digits are what a stored decimal can hold.
    (value < 10_i128.pow(38)).then_some(if negative { -value } else { value })
}

fn number(bytes: &[u8]) -> Option<u32> {
    let mut value: u32 = 0;
    for byte in bytes {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u32::from(byte - b'0');
    }
    Some(value)
}

/// `YYYY-MM-DD` as days since 1970-01-01.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    match text.as_bytes() {
        [y @ .., b'-', m1, m2, b'-', d1, d2] if y.len() == 4 => {
            let date =
                NaiveDate::from_ymd_opt(i32::try_from(number(y)?).ok()?, number(&[*m1, *m2])?, number(&[*d1, *d2])?)?;
            Some(days(date))
        }
        _ => None,
    }
}

fn days(date: NaiveDate) -> i32 {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).unwrap_or(i32::MAX)
}

/// ISO 8601 date and time as microseconds, and whether it named its offset (`Z` or `±hh:mm`). Digits
/// beyond microseconds are cut off.
pub(crate) fn parse_timestamp(text: &str) -> Option<(i64, bool)> {
    let bytes = text.as_bytes();
    let (date, rest) = (text.get(..10)?, bytes.get(10..)?);
    let day = i64::from(parse_date(date)?);
    let (b'T' | b' ' | b't', rest) = rest.split_first()? else { return None };
    let [h1, h2, b':', m1, m2, rest @ ..] = rest else { return None };
    let (hour, minute) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (number(&[*s1, *s2])?, rest),
        _ => (0, rest),
    };
    let (micros, rest) = match rest {
        [b'.' | b',', rest @ ..] => {
            let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            if length == 0 || length > 9 {
                return None;
            }
            let (digits, after) = rest.split_at(length);
            let kept = number(&digits[..length.min(6)])?;
            (i64::from(kept) * 10_i64.pow(6 - u32::try_from(length.min(6)).ok()?), after)
        }
        _ => (0, rest),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset = match rest {
        [] => None,
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, tail @ ..] => {
            let minutes = match tail {
                [] => 0,
                [b':', m1, m2] | [m1, m2] => number(&[*m1, *m2])?,
                _ => return None,
            };
            let seconds = i64::from(number(&[*h1, *h2])? * 60 + minutes) * 60;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => return None,
    };
    let seconds = day * 86_400 + i64::from(hour * 3_600 + minute * 60 + second) - offset.unwrap_or(0);
    Some((seconds * 1_000_000 + micros, offset.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_codes() {
        assert_eq!(parse_int("-42"), Some(-42));
        assert_eq!(parse_int("0"), Some(0));
        assert_eq!(parse_int("007"), None);
        assert_eq!(parse_int("+1"), None);
        assert_eq!(parse_int("9223372036854775808"), None);
        assert_eq!(parse_float("1e-3"), Some(0.001));
        assert_eq!(parse_float("nano"), None);
        assert_eq!(parse_float("01.5"), None);
        assert_eq!(parse_decimal("-12.30", 2), Some(-1230));
        assert_eq!(parse_decimal("1.234", 2), None);
        assert_eq!(parse_decimal(".", 2), None);
    }

    #[test]
    fn times_say_whether_they_know_their_offset() {
        assert_eq!(parse_timestamp("1970-01-01T00:00:00Z"), Some((0, true)));
        assert_eq!(parse_timestamp("1970-01-01 01:00:00+01:00"), Some((0, true)));
        assert_eq!(parse_timestamp("1970-01-01 00:00:01.5"), Some((1_500_000, false)));
        assert_eq!(parse_timestamp("1970-01-01T00:00"), Some((0, false)));
        assert_eq!(parse_timestamp("1970-13-01T00:00"), None);
        assert_eq!(parse_timestamp("1970-01-01T24:00"), None);
        assert_eq!(parse_timestamp("1970-01-01"), None);
        assert_eq!(parse_date("2013-02-29"), None);
        assert_eq!(parse_date("1970-01-02"), Some(1));
    }
}
