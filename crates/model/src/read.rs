//! The one reading of a cell as an input's type, and of a typed cell as number, moment or text.
//!
//! Row and column paths both go through here, which is what makes them bit-equal.

use std::fmt::Write as _;

use gristmill_types::{Cell, ColumnType, Micros};

use crate::calendar;

/// A moment that is missing.
pub(crate) const NO_MOMENT: Micros = i64::MIN;

/// Reads `cell` as `expected`; `None` if it has no reading. NaN and empty cells are [`Cell::Missing`].
pub(crate) fn typed<'a>(expected: &ColumnType, cell: Cell<'a>) -> Option<Cell<'a>> {
    if let Cell::Missing = cell {
        return Some(Cell::Missing);
    }
    if let Cell::Float(value) = cell
        && value.is_nan()
    {
        return Some(Cell::Missing);
    }
    match expected {
        ColumnType::Text => Some(cell),
        ColumnType::Bool => boolean(cell).map(Cell::Bool),
        ColumnType::Int => integer(cell).map(Cell::Int),
        ColumnType::Float => number(cell).map(Cell::Float),
        ColumnType::Decimal { .. } => match cell {
            Cell::Decimal { .. } | Cell::Float(_) => Some(cell),
            Cell::Int(value) => Some(Cell::Decimal { scale: 0, unscaled: value.into() }),
            _ => None,
        },
        ColumnType::Date => match cell {
            Cell::Date(_) => Some(cell),
            Cell::Text(text) => calendar::parse_date(text).map(Cell::Date),
            _ => None,
        },
        ColumnType::Timestamp { zone } => match cell {
            Cell::Timestamp(micros) => Some(micros),
            Cell::Text(text) => calendar::parse_timestamp(text, zone.is_some()),
            _ => None,
        }
        // The smallest moment marks a missing one.
        .map(|micros| Cell::Timestamp(micros.max(NO_MOMENT + 1))),
    }
}

/// A typed cell as a feature: rounded to f32 once, missing is NaN.
pub(crate) fn feature(cell: Cell<'_>) -> f32 {
    match cell {
        Cell::Int(value) => value as f32,
        Cell::Bool(value) => f32::from(u8::from(value)),
        cell => number(cell).map_or(f32::NAN, to_f32),
    }
}

/// A typed cell as a moment; dates are their midnight.
pub(crate) fn moment(cell: Cell<'_>) -> Micros {
    match cell {
        Cell::Timestamp(micros) => micros,
        // Days beyond the moments that 64 bits of microseconds can name are read as the last of them.
        Cell::Date(days) => {
            let seconds = i64::from(days) * calendar::SECONDS_PER_DAY;
            seconds.saturating_mul(calendar::MICROS_PER_SECOND).max(NO_MOMENT + 1)
        }
        _ => NO_MOMENT,
    }
}

/// Rounds to f32; what lies beyond f32's range is its greatest value, NaN stays.
pub(crate) fn to_f32(value: f64) -> f32 {
    (value as f32).clamp(f32::MIN, f32::MAX)
}

/// Writes a typed cell's text form, by which categories are compared, over `out`; false if it is missing.
///
/// Booleans are `true`/`false`, numbers have no trailing zeros and no exponent, dates are ISO, moments
/// RFC 3339 in UTC.
pub fn write_text(out: &mut String, cell: Cell<'_>) -> bool {
    out.clear();
    let written = match cell {
        Cell::Missing => return false,
        Cell::Bool(value) => write!(out, "{value}"),
        Cell::Int(value) => write!(out, "{value}"),
        // -0 and 0 are one category.
        Cell::Float(value) => write!(out, "{}", if value == 0.0 { 0.0 } else { value }),
        // No column type has more digits than these; beyond them a fixed form would only be zeros.
        Cell::Decimal { scale, unscaled } if scale > 38 => write!(out, "{}", decimal(scale, unscaled)),
        Cell::Decimal { scale, unscaled } => write_decimal(out, scale, unscaled),
        Cell::Text(text) => out.write_str(text),
        Cell::Date(days) => calendar::write_date(out, days.into()),
        Cell::Timestamp(micros) => calendar::write_timestamp(out, micros, true),
    };
    written.is_ok()
}

/// The nearest f64 to `unscaled` × 10^−`scale`.
pub(crate) fn decimal(scale: u32, unscaled: i128) -> f64 {
    const EXACT: u128 = 1 << 53;
    // Both operands are exact, so the one division rounds once.
    if unscaled.unsigned_abs() <= EXACT
        && let Some(power) = POWERS.get(scale as usize)
    {
        return unscaled as f64 / power;
    }
    let mut text = String::with_capacity(48);
    // Writing into a String and reading digits with an exponent cannot fail; reading rounds once.
    write!(text, "{unscaled}e-{scale}").ok().and_then(|()| text.parse().ok()).unwrap_or(f64::NAN)
}

/// Powers of ten that f64 holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

fn number(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Bool(value) => Some(f64::from(u8::from(value))),
        Cell::Int(value) => Some(value as f64),
        Cell::Float(value) => Some(value),
        Cell::Decimal { scale, unscaled } => Some(decimal(scale, unscaled)),
        _ => None,
    }
}

fn integer(cell: Cell<'_>) -> Option<i64> {
    // 2^63 is the first float beyond i64.
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    match cell {
        Cell::Bool(value) => Some(value.into()),
        Cell::Int(value) => Some(value),
        Cell::Float(value) if (-BOUND..BOUND).contains(&value) && libm::trunc(value) == value => Some(value as i64),
        Cell::Decimal { scale, unscaled } => {
            let power = 10_i128.checked_pow(scale)?;
            (unscaled % power == 0).then(|| i64::try_from(unscaled / power).ok())?
        }
        _ => None,
    }
}

fn boolean(cell: Cell<'_>) -> Option<bool> {
    match cell {
        Cell::Bool(value) => Some(value),
        Cell::Text("true") => Some(true),
        Cell::Text("false") => Some(false),
        cell => match integer(cell) {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
    }
}

fn write_decimal(out: &mut String, scale: u32, unscaled: i128) -> std::fmt::Result {
    let (mut scale, mut rest) = (scale, unscaled.unsigned_abs());
    while scale > 0 && rest % 10 == 0 {
        rest /= 10;
        scale -= 1;
    }
    if unscaled < 0 {
        out.push('-');
    }
    let width = scale as usize + 1;
    let digits = out.len();
    write!(out, "{rest:0width$}")?;
    if scale > 0 {
        let point = out.len().saturating_sub(scale as usize).max(digits + 1);
        out.insert(point, '.');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(cell: Cell<'_>) -> String {
        let mut out = String::new();
        assert!(write_text(&mut out, cell));
        out
    }

    #[test]
    fn equal_numbers_have_one_text_form() {
        assert_eq!(text(Cell::Int(12)), "12");
        assert_eq!(text(Cell::Float(12.0)), "12");
        assert_eq!(text(Cell::Float(-0.0)), "0");
        assert_eq!(text(Cell::Decimal { scale: 2, unscaled: 1_200 }), "12");
        assert_eq!(text(Cell::Decimal { scale: 3, unscaled: -5 }), "-0.005");
        assert_eq!(text(Cell::Decimal { scale: 2, unscaled: 1_250 }), "12.5");
        assert_eq!(text(Cell::Float(12.5)), "12.5");
        assert_eq!(text(Cell::Decimal { scale: 4, unscaled: 0 }), "0");
    }

    #[test]
    fn decimals_round_once() {
        assert_eq!(decimal(2, 1), 0.01);
        assert_eq!(decimal(1, 3), 0.3);
        assert_eq!(decimal(38, 1), 1e-38);
        assert_eq!(decimal(0, i128::MAX), 1.701_411_834_604_692_3e38);
        // 2^53 + 1 in thousandths: dividing after rounding would be off.
        assert_eq!(decimal(3, 9_007_199_254_740_993), 9_007_199_254_740.993);
    }

    #[test]
    fn whole_floats_are_integers_and_others_are_not() {
        let read = |value| typed(&ColumnType::Int, Cell::Float(value));
        assert_eq!(read(3.0), Some(Cell::Int(3)));
        assert_eq!(read(f64::NAN), Some(Cell::Missing));
        assert_eq!(read(3.5), None);
        assert_eq!(read(1e19), None);
        assert_eq!(read(f64::INFINITY), None);
        assert_eq!(typed(&ColumnType::Int, Cell::Decimal { scale: 2, unscaled: 300 }), Some(Cell::Int(3)));
        assert_eq!(typed(&ColumnType::Int, Cell::Decimal { scale: 60, unscaled: 300 }), None);
        assert_eq!(typed(&ColumnType::Int, Cell::Text("3")), None);
    }

    #[test]
    fn features_are_never_infinite() {
        assert_eq!(feature(Cell::Float(f64::INFINITY)), f32::MAX);
        assert_eq!(feature(Cell::Float(-1e300)), f32::MIN);
        assert!(feature(Cell::Missing).is_nan());
        // Through f64 this would round twice.
        assert_eq!(feature(Cell::Int(9_007_199_791_611_905)), 9_007_199_791_611_905_i64 as f32);
    }
}
