//! Names of rows: 63 bits of SHA-256 over the key columns, with a count for rows that repeat.

use gristmill_types::{Cell, Columns, Hasher};
use rayon::prelude::*;

/// One number per row, never negative; equal rows differ by their occurrence. Also answers how many
/// rows repeat an earlier one.
pub fn row_keys(columns: &Columns) -> (Vec<i64>, u64) {
    let first = |row: &mut Vec<u8>, at: usize| row_key(row, columns, at, 0);
    let mut keys: Vec<i64> = (0..columns.rows()).into_par_iter().map_init(Vec::new, first).collect();
    let repeated = repetitions(&keys);
    for (row, occurrence) in &repeated {
        if let Some(key) = keys.get_mut(*row) {
            *key = row_key(&mut Vec::new(), columns, *row, *occurrence);
        }
    }
    (keys, repeated.len() as u64)
}

/// Gives each repetition of a key a name of its own; for rows that a join multiplied.
pub(crate) fn tell_apart(mut keys: Vec<i64>) -> Vec<i64> {
    for (row, occurrence) in repetitions(&keys) {
        if let Some(key) = keys.get_mut(row) {
            *key = first_bits(&[key.to_le_bytes(), occurrence.to_le_bytes()].concat());
        }
    }
    keys
}

/// The rows whose key occurred before, each with how many times.
fn repetitions(keys: &[i64]) -> Vec<(usize, u64)> {
    let mut sorted: Vec<(i64, usize)> = keys.iter().copied().zip(0..).collect();
    sorted.par_sort_unstable();
    let mut repeated = Vec::new();
    let mut occurrence = 0;
    for pair in sorted.windows(2) {
        let [(before, _), (key, row)] = pair else { continue };
        occurrence = if before == key { occurrence + 1 } else { 0 };
        if occurrence > 0 {
            repeated.push((*row, occurrence));
        }
    }
    repeated
}

/// `bytes` is scratch space.
fn row_key(bytes: &mut Vec<u8>, columns: &Columns, row: usize, occurrence: u64) -> i64 {
    bytes.clear();
    for column in columns.columns() {
        // A tag before each value, and a length before text, so that no two rows spell the same bytes.
        match column.cell(row) {
            Cell::Missing => bytes.push(0),
            Cell::Bool(value) => bytes.extend([1, u8::from(value)]),
            Cell::Int(value) => tagged(bytes, 2, &value.to_le_bytes()),
            Cell::Float(value) => {
                let value = if value.is_nan() { f64::NAN } else { value };
                tagged(bytes, 3, &value.to_bits().to_le_bytes());
            }
            Cell::Decimal { scale, unscaled } => {
                tagged(bytes, 4, &scale.to_le_bytes());
                bytes.extend(unscaled.to_le_bytes());
            }
            Cell::Text(text) => {
                tagged(bytes, 5, &(text.len() as u64).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
            Cell::Date(days) => tagged(bytes, 6, &days.to_le_bytes()),
            Cell::Timestamp(micros) => tagged(bytes, 7, &micros.to_le_bytes()),
        }
    }
    if occurrence > 0 {
        tagged(bytes, 8, &occurrence.to_le_bytes());
    }
    first_bits(bytes)
}

fn tagged(row: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    row.push(tag);
    row.extend(bytes);
}

fn first_bits(bytes: &[u8]) -> i64 {
    let mut hasher = Hasher::new();
    hasher.update(bytes);
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
        assert_eq!(tell_apart(vec![5, 6])[..], [5, 6]);
        let apart = tell_apart(vec![5, 5, 5]);
        assert!(apart[1] != apart[2] && apart[1] != 5);
    }
}
