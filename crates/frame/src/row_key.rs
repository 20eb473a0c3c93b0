//! Names of rows: 63 bits of SHA-256 over the key columns, with a count for rows that repeat.

use std::collections::HashMap;

use gristmill_types::{Cell, Columns, Hasher};

/// One number per row, never negative; equal rows differ by their occurrence. Also answers how many
/// rows repeat an earlier one.
pub fn row_keys(columns: &Columns) -> (Vec<i64>, u64) {
    let mut seen: HashMap<i64, u64> = HashMap::with_capacity(columns.rows());
    let mut repeated = 0;
    let keys = (0..columns.rows())
        .map(|row| {
            let first = row_key(columns, row, 0);
            let occurrence = seen.entry(first).or_insert(0);
            let key = if *occurrence == 0 { first } else { row_key(columns, row, *occurrence) };
            repeated += u64::from(*occurrence > 0);
            *occurrence += 1;
            key
        })
        .collect();
    (keys, repeated)
}

/// Gives each repetition of a key a name of its own; for rows that a join multiplied.
pub(crate) fn tell_apart(keys: &[i64]) -> Vec<i64> {
    let mut seen: HashMap<i64, u64> = HashMap::with_capacity(keys.len());
    keys.iter()
        .map(|key| {
            let occurrence = seen.entry(*key).or_insert(0);
            let named = if *occurrence == 0 {
                *key
            } else {
                let mut hasher = Hasher::new();
                hasher.update(&key.to_le_bytes());
                hasher.update(&occurrence.to_le_bytes());
                first_bits(hasher)
            };
            *occurrence += 1;
            named
        })
        .collect()
}

fn row_key(columns: &Columns, row: usize, occurrence: u64) -> i64 {
    let mut hasher = Hasher::new();
    for column in columns.columns() {
        // A tag before each value, and a length before text, so that no two rows spell the same bytes.
        match column.cell(row) {
            Cell::Missing => hasher.update(&[0]),
            Cell::Bool(value) => hasher.update(&[1, u8::from(value)]),
            Cell::Int(value) => tagged(&mut hasher, 2, &value.to_le_bytes()),
            Cell::Float(value) => {
                let value = if value.is_nan() { f64::NAN } else { value };
                tagged(&mut hasher, 3, &value.to_bits().to_le_bytes());
            }
            Cell::Decimal { scale, unscaled } => {
                tagged(&mut hasher, 4, &scale.to_le_bytes());
                hasher.update(&unscaled.to_le_bytes());
            }
            Cell::Text(text) => {
                tagged(&mut hasher, 5, &(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
            Cell::Date(days) => tagged(&mut hasher, 6, &days.to_le_bytes()),
            Cell::Timestamp(micros) => tagged(&mut hasher, 7, &micros.to_le_bytes()),
        }
    }
    if occurrence > 0 {
        tagged(&mut hasher, 8, &occurrence.to_le_bytes());
    }
    first_bits(hasher)
}

fn tagged(hasher: &mut Hasher, tag: u8, bytes: &[u8]) {
    hasher.update(&[tag]);
    hasher.update(bytes);
}

fn first_bits(hasher: Hasher) -> i64 {
    let digest = hasher.finish();
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    i64::from_be_bytes(first) & i64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_types::Column;

    #[test]
    fn keys_depend_on_content_and_occurrence_only() {
        let table = |rows: &[usize]| {
            Columns::new(vec![
                Column::int("a", [Some(1), Some(2), Some(1), None]),
                Column::text("b", [Some("x"), Some("y"), Some("x"), None]),
            ])
            .unwrap()
            .take(rows)
        };
        let (keys, repeated) = row_keys(&table(&[0, 1, 2, 3]));
        assert_eq!(repeated, 1);
        assert!(keys.iter().all(|key| *key >= 0));
        assert_ne!(keys[0], keys[2]);
        let (moved, _) = row_keys(&table(&[3, 1, 0, 2]));
        assert_eq!(moved, vec![keys[3], keys[1], keys[0], keys[2]]);
        assert_eq!(tell_apart(&[5, 6])[..], [5, 6]);
        let apart = tell_apart(&[5, 5, 5]);
        assert!(apart[1] != apart[2] && apart[1] != 5);
    }
}
