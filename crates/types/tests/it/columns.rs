//! Tables: what makes one, what does not, and that taking rows changes nothing else.

use gristmill_types::{Cell, Column, ColumnType, Columns, ColumnsError, Values};
use proptest::prelude::*;

fn table() -> Columns {
    Columns::new(vec![
        Column::int("n", [Some(1), None, Some(3)]),
        Column::float("x", [Some(0.5), Some(f64::NAN), None]),
        Column::text("t", [Some("a"), Some("b"), Some("a")]),
        Column::new("d", Values::Decimal { scale: 2, unscaled: vec![125, -5, 0] }),
        Column::new("at", Values::Timestamp { zone: Some("UTC".into()), micros: vec![0, 1, 2] }),
    ])
    .unwrap()
}

#[test]
fn cells_know_nulls_and_bounds() {
    let table = table();
    let n = table.get("n").unwrap();
    assert_eq!((n.cell(0), n.cell(1), n.cell(99)), (Cell::Int(1), Cell::Missing, Cell::Missing));
    assert_eq!(n.null_count(), 1);
    assert!(matches!(table.get("x").unwrap().cell(1), Cell::Float(v) if v.is_nan()));
    assert_eq!(table.get("t").unwrap().cell(2), Cell::Text("a"));
    assert_eq!(table.get("d").unwrap().cell(1), Cell::Decimal { scale: 2, unscaled: -5 });
}

#[test]
fn what_is_no_table_is_refused() {
    let twice = Columns::new(vec![Column::int("a", [Some(1)]), Column::int("a", [Some(2)])]);
    assert_eq!(twice, Err(ColumnsError::Duplicate("a".into())));
    let ragged = Columns::new(vec![Column::int("a", [Some(1)]), Column::int("b", [])]);
    assert_eq!(ragged, Err(ColumnsError::Length { name: "b".into(), rows: 0, expected: 1 }));
    let mask = Column { name: "a".into(), values: Values::Int(vec![1]), valid: Some(vec![true, false]) };
    assert_eq!(Columns::new(vec![mask]), Err(ColumnsError::Mask("a".into())));
}

#[test]
fn types_are_read_as_they_are_written() {
    for text in ["bool", "int", "float", "decimal(9)", "text", "date", "timestamp", "timestamp[America/New_York]"] {
        assert_eq!(text.parse::<ColumnType>().unwrap().to_string(), text);
    }
    for text in ["", "string", "decimal(39)", "decimal()", "timestamp[]", "Int"] {
        assert!(text.parse::<ColumnType>().unwrap_err().contains("not a column type"), "{text}");
    }
}

proptest! {
    #[test]
    fn text_is_kept_whatever_it_is(rows in proptest::collection::vec(proptest::option::of(".{0,6}"), 0..50)) {
        let column = Column::text("t", rows.iter().map(|row| row.as_deref()));
        prop_assert_eq!(column.len(), rows.len());
        for (row, expected) in rows.iter().enumerate() {
            let expected = expected.as_deref().map_or(Cell::Missing, Cell::Text);
            prop_assert_eq!(column.cell(row), expected);
        }
    }

    #[test]
    fn taking_rows_takes_their_cells(picks in proptest::collection::vec(0_usize..3, 0..8)) {
        let table = table();
        let taken = table.take(&picks);
        prop_assert_eq!(taken.rows(), picks.len());
        for (column, from) in taken.columns().iter().zip(table.columns()) {
            for (row, pick) in picks.iter().enumerate() {
                prop_assert_eq!(format!("{:?}", column.cell(row)), format!("{:?}", from.cell(*pick)));
            }
        }
    }
}
