//! Left equi-join.

use polars::prelude::DataFrame;

use super::keys::{key_ids, rows_by_key};
use super::{JoinReport, Matches};
use crate::Error;
use crate::integration::Join;

/// Pairs each row of `left` with its partners in `right`.
///
/// # Errors
/// [`Error::Multiplies`] if a row has several partners and that is not allowed.
pub(crate) fn equal(field: &str, join: &Join, left: &DataFrame, right: &DataFrame) -> Result<Matches, Error> {
    let (left_ids, right_ids) = key_ids(field, &join.on, left, right)?;
    let partners = rows_by_key(&right_ids);
    let mut report =
        JoinReport { source: join.source.clone(), kind: "join".into(), rows_in: left_ids.len() as u64, ..Default::default() };
    let mut rows = (Vec::with_capacity(left_ids.len()), Vec::with_capacity(left_ids.len()));
    for (row, id) in (0_u32..).zip(&left_ids) {
        let found = id.and_then(|id| partners.get(id as usize)).map_or(&[][..], Vec::as_slice);
        match found {
            [] => {
                report.unmatched += 1;
                report.null_keys += u64::from(id.is_none());
                rows.0.push(row);
                rows.1.push(None);
            }
            found => {
                report.matched += 1;
                report.multiplied += u64::from(found.len() > 1);
                for partner in found {
                    rows.0.push(row);
                    rows.1.push(Some(*partner));
                }
            }
        }
    }
    report.rows_out = rows.0.len() as u64;
    if report.multiplied > 0 && !join.allow_multiple {
        return Err(Error::Multiplies {
            field: field.to_owned(),
            table: join.source.clone(),
            rows: report.multiplied,
            rows_in: report.rows_in,
            rows_out: report.rows_out,
        });
    }
    super::enough(field, &report, join.min_matched)?;
    Ok(Matches { left: rows.0, right: rows.1, report })
}
