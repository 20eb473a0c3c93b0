//! Keys of two tables as small numbers that are equal where all key columns are.

use std::collections::HashMap;
use std::hash::Hash;

use gristmill_types::{Column, ColumnType, Values};
use polars::prelude::DataFrame;

use crate::Error;
use crate::convert::to_column;
use crate::integration::JoinKey;

/// Key numbers, one per row; none where a key column is null (nulls match nothing).
pub(crate) type Ids = Vec<Option<u32>>;

/// Numbers the keys of both sides.
///
/// # Errors
/// [`Error::UnknownColumn`] and, for columns of different types, [`Error::Spec`].
pub(crate) fn key_ids(field: &str, on: &[JoinKey], left: &DataFrame, right: &DataFrame) -> Result<(Ids, Ids), Error> {
    let mut ids: Option<(Ids, Ids)> = None;
    for (index, key) in on.iter().enumerate() {
        let field = format!("{field}.on[{index}]");
        let left_column = find(&field, &key.left, left)?;
        let right_column = find(&field, &key.right, right)?;
        let pair = number(&field, key, &left_column, &right_column)?;
        ids = Some(match ids {
            None => pair,
            Some(before) => combine(&before, &pair),
        });
    }
    // Without keys every row has the same one.
    Ok(ids.unwrap_or_else(|| (vec![Some(0); left.height()], vec![Some(0); right.height()])))
}

fn find(field: &str, name: &str, table: &DataFrame) -> Result<Column, Error> {
    match table.column(name) {
        Ok(column) => to_column(column),
        Err(_) => Err(Error::unknown_column(field, name, table.columns().iter().map(|c| c.name().as_str()))),
    }
}

fn number(field: &str, key: &JoinKey, left: &Column, right: &Column) -> Result<(Ids, Ids), Error> {
    Ok(match (&left.values, &right.values) {
        (Values::Int(l), Values::Int(r)) => by_value(left, l, right, r),
        (Values::Bool(l), Values::Bool(r)) => by_value(left, l, right, r),
        (Values::Date(l), Values::Date(r)) => by_value(left, l, right, r),
        (Values::Timestamp { micros: l, .. }, Values::Timestamp { micros: r, .. }) => by_value(left, l, right, r),
        (Values::Decimal { scale: ls, unscaled: l }, Values::Decimal { scale: rs, unscaled: r }) if ls == rs => {
            by_value(left, l, right, r)
        }
        (Values::Text(l), Values::Text(r)) => {
            let mut seen: HashMap<&str, u32> = HashMap::new();
            let mut number = |value| {
                let next = u32::try_from(seen.len()).unwrap_or(u32::MAX);
                *seen.entry(value).or_insert(next)
            };
            let l_ids: Vec<u32> = l.values.iter().map(|value| number(value.as_str())).collect();
            let r_ids: Vec<u32> = r.values.iter().map(|value| number(value.as_str())).collect();
            let rows = |column: &Column, codes: &[u32], ids: &[u32]| -> Ids {
                codes
                    .iter()
                    .enumerate()
                    .map(|(row, code)| if column.is_valid(row) { ids.get(*code as usize).copied() } else { None })
                    .collect()
            };
            (rows(left, &l.codes, &l_ids), rows(right, &r.codes, &r_ids))
        }
        _ => {
            return Err(Error::spec(
                field,
                format!(
                    "`{}` is {} and `{}` is {}: keys must have the same type; declare the column's type in its source, or cast it in a `derive` step",
                    key.left,
                    describe(&left.column_type()),
                    key.right,
                    describe(&right.column_type())
                ),
            ));
        }
    })
}

fn describe(column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::Float => "float (which is never equal for sure)".into(),
        other => other.to_string(),
    }
}

fn by_value<T: Copy + Eq + Hash>(left: &Column, l: &[T], right: &Column, r: &[T]) -> (Ids, Ids) {
    let mut seen: HashMap<T, u32> = HashMap::new();
    let mut rows = |column: &Column, values: &[T]| -> Ids {
        values
            .iter()
            .enumerate()
            .map(|(row, value)| {
                column.is_valid(row).then(|| {
                    let next = u32::try_from(seen.len()).unwrap_or(u32::MAX);
                    *seen.entry(*value).or_insert(next)
                })
            })
            .collect()
    };
    (rows(left, l), rows(right, r))
}

fn combine(before: &(Ids, Ids), pair: &(Ids, Ids)) -> (Ids, Ids) {
    let mut seen: HashMap<(u32, u32), u32> = HashMap::new();
    let mut rows = |a: &Ids, b: &Ids| -> Ids {
        a.iter()
            .zip(b)
            .map(|(a, b)| {
                let pair = (*a).zip(*b)?;
                let next = u32::try_from(seen.len()).unwrap_or(u32::MAX);
                Some(*seen.entry(pair).or_insert(next))
            })
            .collect()
    };
    (rows(&before.0, &pair.0), rows(&before.1, &pair.1))
}

/// The right-hand rows of each key number, in their order.
pub(crate) fn rows_by_key(ids: &Ids) -> Vec<Vec<u32>> {
    let mut rows: Vec<Vec<u32>> = Vec::new();
    for (row, id) in ids.iter().enumerate() {
        let Some(id) = id else { continue };
        let id = *id as usize;
        if rows.len() <= id {
            rows.resize_with(id + 1, Vec::new);
        }
        if let (Some(list), Ok(row)) = (rows.get_mut(id), u32::try_from(row)) {
            list.push(row);
        }
    }
    rows
}
