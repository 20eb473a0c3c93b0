//! How numbers are written: the same everywhere, `–` for what is not a number.

/// What stands where there is no number.
pub(crate) const NONE: &str = "–";

/// Groups the digits of a whole number: 327,346.
pub fn count(value: u64) -> String {
    group(&value.to_string())
}

fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with `places` digits after the point and grouped digits before it.
pub fn decimal(value: f64, places: usize) -> String {
    if !value.is_finite() {
        return NONE.into();
    }
    let text = format!("{:.places$}", value.abs());
    let negative = value < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b));
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(w, f)| (w, Some(f)));
    let sign = if negative { "−" } else { "" };
    match fraction {
        Some(fraction) => format!("{sign}{}.{fraction}", group(whole)),
        None => format!("{sign}{}", group(whole)),
    }
}

/// A number with about `digits` significant digits: 0.00123, 1.23, 12,300; powers of ten beyond a million million and below a millionth.
pub fn significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return NONE.into();
    }
    let size = value.abs();
    if size == 0.0 {
        return "0".into();
    }
    if !(1e-6..1e12).contains(&size) {
        return format!("{value:.*e}", digits.saturating_sub(1)).replace('-', "−");
    }
    let mut places = digits.saturating_sub(1);
    let mut bound = 10.0;
    while size >= bound && places > 0 {
        places -= 1;
        bound *= 10.0;
    }
    let mut bound = 1.0;
    while size < bound {
        places += 1;
        bound /= 10.0;
    }
    let text = decimal(value, places);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A share as a percentage: 0.1234 is 12.3 %.
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        return NONE.into();
    }
    let places = if share != 0.0 && share.abs() < 0.001 { 3 } else { 1 };
    format!("{} %", decimal(share * 100.0, places))
}

/// A size: 1.5 MiB.
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (size as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("TiB");
    format!("{} {name}", if unit == 0 { decimal(value, 0) } else { decimal(value, 1) })
}

/// A duration: 350 ms, 12.3 s, 4 min 5 s, 2 h 10 min.
pub fn seconds(value: f64) -> String {
    if !value.is_finite() {
        return NONE.into();
    }
    if value < 1.0 {
        return format!("{} ms", decimal(value * 1000.0, 0));
    }
    if value < 60.0 {
        return format!("{} s", decimal(value, 1));
    }
    let whole = value.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{} h {minutes} min", count(hours)) } else { format!("{minutes} min {rest} s") }
}
