//! Medians and scales in one fixed order of sums.

/// Median of the values that are not NaN; the mean of the middle two for an even number.
pub(super) fn median(values: &[f32]) -> Option<f32> {
    let mut present: Vec<f32> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    if present.is_empty() {
        return None;
    }
    let (upper, odd) = (present.len() / 2, present.len() % 2 == 1);
    let (below, high, _) = present.select_nth_unstable_by(upper, f32::total_cmp);
    let high = *high;
    if odd {
        return Some(high);
    }
    let low = below.iter().copied().max_by(f32::total_cmp)?;
    Some(((f64::from(low) + f64::from(high)) / 2.0) as f32)
}

/// Mean and standard deviation (n in the divisor) of values without NaN.
pub(super) fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let (mut count, mut sum) = (0_u64, 0.0);
    for value in values.clone() {
        count += 1;
        sum += value;
    }
    let n = count.max(1) as f64;
    let mean = sum / n;
    let mut squares = 0.0;
    for value in values {
        let d = value - mean;
        squares += d * d;
    }
    (mean, (squares / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_ignores_what_is_missing() {
        assert_eq!(median(&[3.0, f32::NAN, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[f32::NAN]), None);
    }
}
