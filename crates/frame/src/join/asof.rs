//! Left join with the newest row that was available at the moment of prediction.

use polars::prelude::DataFrame;

use super::keys::{key_ids, rows_by_key};
use super::{JoinReport, Matches};
use crate::Error;
use crate::integration::AsOf;

/// Pairs each row of `left` with the row of `right` of equal key that became available last, but not
/// after `known_at` and not more than the tolerance before. `available` holds the right rows' times in
/// microseconds; a row without one is never available. Of rows available at the same time the last
/// of the source counts.
///
/// # Errors
/// [`Error::Misses`] if too few rows find a partner.
pub(crate) fn as_of(
    field: &str,
    join: &AsOf,
    left: &DataFrame,
    known_at: &[Option<i64>],
    right: &DataFrame,
    available: &[Option<i64>],
) -> Result<Matches, Error> {
    let (left_ids, right_ids) = key_ids(field, &join.on, left, right)?;
    let by_time = |row: &u32| available.get(*row as usize).copied().flatten().map(|time| (time, *row));
    let timelines: Vec<Vec<(i64, u32)>> = rows_by_key(&right_ids)
        .iter()
        .map(|rows| {
            let mut timeline: Vec<(i64, u32)> = rows.iter().filter_map(by_time).collect();
            timeline.sort_unstable();
            timeline
        })
        .collect();
    let tolerance = join.tolerance_seconds.map(|seconds| seconds.saturating_mul(1_000_000));
    let mut report = JoinReport {
        source: join.source.clone(),
        kind: "as_of".into(),
        rows_in: left_ids.len() as u64,
        ..Default::default()
    };
    let mut right_rows = Vec::with_capacity(left_ids.len());
    for (id, known) in left_ids.iter().zip(known_at) {
        let timeline = id.and_then(|id| timelines.get(id as usize)).map_or(&[][..], Vec::as_slice);
        let newest = known.and_then(|known| {
            let after = timeline.partition_point(|(time, _)| *time <= known);
            let (time, row) = timeline.get(after.checked_sub(1)?)?;
            tolerance.is_none_or(|tolerance| known - time <= tolerance).then_some(*row)
        });
        match newest {
            Some(_) => report.matched += 1,
            None => {
                report.unmatched += 1;
                report.null_keys += u64::from(id.is_none());
                report.not_in_time += u64::from(!timeline.is_empty());
            }
        }
        right_rows.push(newest);
    }
    report.rows_out = report.rows_in;
    super::enough(field, &report, join.min_matched)?;
    let left_rows = (0_u32..).take(left_ids.len()).collect();
    Ok(Matches { left: left_rows, right: right_rows, report })
}
