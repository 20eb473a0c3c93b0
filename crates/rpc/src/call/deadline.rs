//! `grpc-timeout`: how long a caller waits.

use std::time::Duration;

use ::http::HeaderMap;
use tokio::time::Instant;

/// The header's name.
pub(crate) const GRPC_TIMEOUT: &str = "grpc-timeout";

/// Most digits the protocol allows.
const DIGITS: usize = 8;

/// The moment until which the caller of `headers` waits. A value that is none is ignored, as the
/// protocol's own libraries do.
pub(crate) fn read(headers: &HeaderMap) -> Option<Instant> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    Instant::now().checked_add(parse(text)?)
}

fn parse(text: &str) -> Option<Duration> {
    let unit = *text.as_bytes().last()?;
    let digits = text.get(..text.len() - 1)?;
    if digits.is_empty() || digits.len() > DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// A duration as the header writes it, in the finest unit that fits eight digits; rounded down.
pub(crate) fn format(left: Duration) -> String {
    let units = [(left.as_nanos(), 'n'), (left.as_micros(), 'u'), (left.as_millis(), 'm')];
    let most = 10u128.pow(DIGITS as u32);
    match units.into_iter().find(|(number, _)| *number < most) {
        Some((number, unit)) => format!("{number}{unit}"),
        None => format!("{}S", left.as_secs().min(99_999_999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_nonsense_is_not() {
        let cases = [
            ("1H", 3_600_000_000_000u128),
            ("2M", 120_000_000_000),
            ("3S", 3_000_000_000),
            ("4m", 4_000_000),
            ("5u", 5_000),
            ("99999999n", 99_999_999),
        ];
        for (text, nanos) in cases {
            assert_eq!(parse(text).unwrap().as_nanos(), nanos, "{text}");
        }
        for text in ["", "S", "1", "123456789S", "1x", "-1S", "1.5S", "é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_never_longer() {
        for nanos in [1u64, 99_999_999, 100_000_000, 1_234_567_890, 60_000_000_000, 86_400_000_000_000] {
            let left = Duration::from_nanos(nanos);
            let back = parse(&format(left)).unwrap();
            assert!(back <= left && left - back < Duration::from_millis(1).max(left / 1000), "{left:?} {back:?}");
        }
    }
}
