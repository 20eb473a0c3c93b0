//! Which test rows count: those with a target that neither model has seen.

use gristmill_stats::interval::Units;
use gristmill_types::{Columns, Values};

use super::Candidate;
use super::score::Truth;
use crate::EvaluationError;

/// Names a row.
const ROW_KEY: &str = "_row_key";
/// Unit of dependence.
const UNIT: &str = "_unit";

/// The rows to measure on, and how many were left out for which reason.
#[derive(Debug)]
pub(crate) struct Selection {
    pub measured: Vec<usize>,
    pub without_target: usize,
    pub seen_by_model: usize,
    pub seen_by_champion: usize,
    /// There is a champion, but no row that neither model has seen: the candidate is measured alone.
    pub nothing_in_common: bool,
}

/// The keys of a table's rows.
pub(crate) fn row_keys(rows: &Columns) -> Result<&[i64], EvaluationError> {
    match rows.get(ROW_KEY) {
        Some(column) if column.valid.is_none() => match &column.values {
            Values::Int(keys) => Ok(keys),
            _ => Err(EvaluationError::NoRowKey),
        },
        _ => Err(EvaluationError::NoRowKey),
    }
}

/// Chooses the rows.
pub(crate) fn select(
    rows: &Columns,
    truth: &Truth,
    candidate: &Candidate,
    champion: Option<&Candidate>,
) -> Result<Selection, EvaluationError> {
    let keys = row_keys(rows)?;
    let known: Vec<usize> = (0..rows.rows()).filter(|row| truth.is_known(*row)).collect();
    let has = |seen: &[i64], row: usize| keys.get(row).is_some_and(|key| seen.binary_search(key).is_ok());
    let unseen: Vec<usize> = known.iter().copied().filter(|row| !has(&candidate.seen, *row)).collect();
    let by_champion = |row: &usize| champion.is_some_and(|champion| has(&champion.seen, *row));
    let seen_by_champion = known.iter().filter(|row| by_champion(row)).count();
    let common: Vec<usize> = unseen.iter().copied().filter(|row| !by_champion(row)).collect();
    if unseen.is_empty() {
        return Err(EvaluationError::NothingUnseen(known.len()));
    }
    let seen_by_model = known.len() - unseen.len();
    let nothing_in_common = common.is_empty();
    Ok(Selection {
        measured: if nothing_in_common { unseen } else { common },
        without_target: rows.rows() - known.len(),
        seen_by_model,
        seen_by_champion,
        nothing_in_common,
    })
}

/// The units of dependence: rows of equal `_unit`; without that column, or where it is null, each row is its own.
pub(crate) fn units(rows: &Columns) -> Units {
    let Some(column) = rows.get(UNIT) else { return Units::rows(rows.rows()) };
    let mut text = String::new();
    Units::from_labels((0..rows.rows()).map(|row| {
        let known = gristmill_model::write_text(&mut text, column.cell(row));
        if known { (Some(text.clone()), 0) } else { (None, row) }
    }))
}
