//! `matrix.bin`: what is written is read, and nothing makes the reader panic.

use gristmill_learn::{Matrix, Task};
use proptest::prelude::*;

use crate::support::prepared;

fn bits(matrix: &Matrix) -> Vec<Vec<u32>> {
    matrix.numeric.iter().map(|slot| slot.values.iter().map(|v| v.to_bits()).collect()).collect()
}

#[test]
fn what_is_written_is_read() {
    for name in ["wine", "diabetes"] {
        let (_, fitted, _) = prepared(name);
        let mut matrix = fitted.matrix;
        matrix.weight = Some((0..matrix.rows()).map(|row| 1.0 + row as f64).collect());
        matrix.numeric[0].values[3] = f32::NAN;
        let bytes = matrix.to_bytes().unwrap();
        let read = Matrix::from_bytes(&bytes).unwrap();
        assert_eq!(bits(&read), bits(&matrix));
        assert_eq!((&read.target, &read.weight, &read.keys), (&matrix.target, &matrix.weight, &matrix.keys));
        assert_eq!(read.to_bytes().unwrap(), bytes);
    }
}

#[test]
fn columns_of_unequal_length_are_not_written() {
    let (_, fitted, _) = prepared("wine");
    let mut matrix = fitted.matrix;
    matrix.keys.pop();
    assert!(matrix.to_bytes().unwrap_err().to_string().contains("different numbers of rows"));
}

#[test]
fn other_bytes_are_refused_with_a_reason() {
    let (_, fitted, _) = prepared("wine");
    let bytes = fitted.matrix.to_bytes().unwrap();
    assert!(Matrix::from_bytes(b"PAR1").is_err());
    assert!(Matrix::from_bytes(&bytes[..bytes.len() - 1]).unwrap_err().to_string().contains("do not make"));
    let mut newer = bytes.clone();
    newer[8] = 9;
    assert!(Matrix::from_bytes(&newer).unwrap_err().to_string().contains("version 9"));
    assert_eq!(fitted.matrix.task, Task::Multiclass);
}

proptest! {
    #[test]
    fn mutated_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), cut in any::<prop::sample::Index>(), whole in any::<bool>()) {
        let (_, fitted, _) = prepared("wine");
        let mut bytes = fitted.matrix.to_bytes().unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(matrix) = Matrix::from_bytes(&bytes) {
            prop_assert!(matrix.to_bytes().is_ok());
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut framed = b"GMMATRIX".to_vec();
        framed.extend_from_slice(&[1, 0, 0, 0]);
        framed.extend_from_slice(&bytes);
        prop_assert!(Matrix::from_bytes(&framed).is_err());
    }
}
