//! Numbers are written as people read them.

use gristmill_report::{bytes, count, decimal, percent, seconds, significant};

#[test]
fn counts_and_decimals_are_grouped() {
    assert_eq!(
        [count(0), count(999), count(1_000), count(327_346), count(u64::MAX)],
        ["0", "999", "1,000", "327,346", "18,446,744,073,709,551,615"]
    );
    assert_eq!([decimal(-1234.567, 1), decimal(0.005, 2), decimal(-0.001, 2)], ["−1,234.6", "0.01", "0.00"]);
    assert_eq!([decimal(f64::NAN, 2), decimal(f64::INFINITY, 2)], ["–", "–"]);
}

#[test]
fn significant_digits_follow_the_size() {
    let cases =
        [(0.0, "0"), (0.69012, "0.6901"), (0.001234, "0.001234"), (12.0, "12"), (12345.678, "12,346"), (-3.5, "−3.5")];
    for (value, text) in cases {
        assert_eq!(significant(value, 4), text, "{value}");
    }
    assert_eq!(significant(1.5e-9, 2), "1.5e−9");
    assert_eq!(significant(2e15, 3), "2.00e15");
}

#[test]
fn shares_sizes_and_durations_have_units() {
    assert_eq!([percent(0.1234), percent(0.0), percent(0.00012)], ["12.3 %", "0.0 %", "0.012 %"]);
    assert_eq!([bytes(17), bytes(1536), bytes(5 << 30)], ["17 B", "1.5 KiB", "5.0 GiB"]);
    assert_eq!(
        [seconds(0.35), seconds(12.34), seconds(245.0), seconds(7_800.0)],
        ["350 ms", "12.3 s", "4 min 5 s", "2 h 10 min"]
    );
}
