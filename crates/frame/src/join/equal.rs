//! Left equi-join.

use polars::prelude::DataFrame;

use super::keys::{key_ids, rows_by_key};
use super::{JoinReport, Matches};
use crate::Error;
use crate::integration::Join;

/// Pairs each row of `left` with its partners in `right`; at most `most` rows may come out.
///
/// # Errors
/// [`Error::Multiplies`] if a row has several partners and that is not allowed.
pub(crate) fn equal(
    field: &str,
    join: &Join,
    left: &DataFrame,
    right: &DataFrame,
    most: u64,
) -> Result<Matches, Error> {
    let (left_ids, right_ids) = key_ids(field, &join.on, left, right)?;
    let partners = rows_by_key(&right_ids);
    let partners_of = |id: &Option<u32>| id.and_then(|id| partners.get(id as usize)).map_or(&[][..], Vec::as_slice);
    let mut report = JoinReport {
        source: join.source.clone(),
        kind: "join".into(),
        rows_in: left_ids.len() as u64,
        ..Default::default()
    };
    // Counted before anything is built: a join that multiplies may not fit into memory.
    for id in &left_ids {
        let found = partners_of(id).len() as u64;
        report.matched += u64::from(found > 0);
        report.unmatched += u64::from(found == 0);
        report.null_keys += u64::from(id.is_none());
        report.multiplied += u64::from(found > 1);
        report.rows_out += found.max(1);
    }
    if report.multiplied > 0 && !join.allow_multiple {
        return Err(Error::Multiplies {
            field: field.to_owned(),
            table: join.source.clone(),
            rows: report.multiplied,
            rows_in: report.rows_in,
            rows_out: report.rows_out,
        });
    }
    if report.rows_out > most {
        return Err(Error::Limit {
            what: format!("{field} gives {} rows", report.rows_out),
            limit: format!("{most} rows"),
            advice: "join on more keys, or aggregate the source first".into(),
        });
    }
    super::enough(field, &report, join.min_matched)?;
    let mut rows = (Vec::new(), Vec::new());
    for (row, id) in (0_u32..).zip(&left_ids) {
        match partners_of(id) {
            [] => {
                rows.0.push(row);
                rows.1.push(None);
            }
            found => {
                rows.0.extend(found.iter().map(|_| row));
                rows.1.extend(found.iter().copied().map(Some));
            }
        }
    }
    Ok(Matches { left: rows.0, right: rows.1, report })
}
