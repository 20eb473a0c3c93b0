//! Live rows of several artifacts as one table.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate};
use gristmill_types::{Cell, Column, ColumnType, Columns, Values};

use crate::MonitoringError;
use crate::monitor::UNIT;

/// When an inference log's row was answered.
const PREDICTED_AT: &str = "_predicted_at";

/// Puts tables below each other: columns by name in order of first appearance, null where a table lacks one.
///
/// # Errors
/// [`MonitoringError::RowsDiffer`] if a column has values of different types; numbers meet as floats, and a
/// column of nulls fits every type.
pub(crate) fn concat(tables: Vec<Columns>) -> Result<Columns, MonitoringError> {
    let mut tables = tables.into_iter().map(with_units).collect::<Result<Vec<_>, _>>()?;
    if tables.len() == 1 {
        return Ok(tables.remove(0));
    }
    let mut names: Vec<&str> = Vec::new();
    for column in tables.iter().flat_map(Columns::columns) {
        if !names.contains(&column.name.as_str()) {
            names.push(&column.name);
        }
    }
    let columns = names.iter().map(|name| joined(name, &tables)).collect::<Result<_, _>>()?;
    Ok(Columns::new(columns)?)
}

/// Logged rows with the day of their prediction as the unit of dependence; tables that name their units, or know no
/// moment, as they are.
fn with_units(table: Columns) -> Result<Columns, MonitoringError> {
    let Some(Values::Timestamp { micros, .. }) = table.get(PREDICTED_AT).map(|column| &column.values) else {
        return Ok(table);
    };
    if table.get(UNIT).is_some() {
        return Ok(table);
    }
    let days: Vec<Option<NaiveDate>> =
        micros.iter().map(|at| DateTime::from_timestamp_micros(*at).map(|at| at.date_naive())).collect();
    let mut texts: BTreeMap<NaiveDate, String> = BTreeMap::new();
    for day in days.iter().flatten() {
        texts.entry(*day).or_insert_with(|| day.to_string());
    }
    let units = days.iter().map(|day| texts.get(day.as_ref()?).map(String::as_str));
    let units = Column::text(UNIT, units);
    let mut columns = table.into_columns();
    columns.push(units);
    Ok(Columns::new(columns)?)
}

fn joined(name: &str, tables: &[Columns]) -> Result<Column, MonitoringError> {
    let mut kind: Option<ColumnType> = None;
    let present = tables.iter().filter_map(|table| table.get(name));
    for column in present.filter(|column| column.null_count() < column.len()) {
        let other = column.column_type();
        kind = Some(match kind {
            None => other,
            Some(one) if one == other => one,
            Some(one) if one.is_numeric() && other.is_numeric() => ColumnType::Float,
            Some(one) => {
                let (one, other) = (one.to_string(), other.to_string());
                return Err(MonitoringError::RowsDiffer { column: name.to_owned(), one, other });
            }
        });
    }
    let cells = || {
        tables.iter().flat_map(|table| {
            let column = table.get(name);
            (0..table.rows()).map(move |row| column.map_or(Cell::Missing, |column| column.cell(row)))
        })
    };
    let valid: Vec<bool> = cells().map(|cell| cell != Cell::Missing).collect();
    let values = match kind.unwrap_or(ColumnType::Text) {
        ColumnType::Bool => Values::Bool(cells().map(|c| matches!(c, Cell::Bool(true))).collect()),
        ColumnType::Int => Values::Int(cells().map(|c| if let Cell::Int(v) = c { v } else { 0 }).collect()),
        ColumnType::Float => Values::Float(cells().map(float).collect()),
        ColumnType::Decimal { scale } => {
            let unscaled = |c| if let Cell::Decimal { unscaled, .. } = c { unscaled } else { 0 };
            Values::Decimal { scale, unscaled: cells().map(unscaled).collect() }
        }
        ColumnType::Date => Values::Date(cells().map(|c| if let Cell::Date(v) = c { v } else { 0 }).collect()),
        ColumnType::Timestamp { zone } => {
            let micros = cells().map(|c| if let Cell::Timestamp(v) = c { v } else { 0 }).collect();
            Values::Timestamp { zone, micros }
        }
        ColumnType::Text => {
            let texts = cells().map(|c| if let Cell::Text(v) = c { Some(v) } else { None });
            return Ok(Column::text(name, texts));
        }
    };
    Ok(Column::with_valid(name, values, valid))
}

fn float(cell: Cell<'_>) -> f64 {
    match cell {
        Cell::Int(v) => v as f64,
        Cell::Float(v) => v,
        // Exact enough for a distance: one division, at most two roundings.
        Cell::Decimal { scale, unscaled } => unscaled as f64 / (0..scale).fold(1.0, |power, _| power * 10.0),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: Vec<Column>) -> Columns {
        Columns::new(columns).unwrap()
    }

    #[test]
    fn tables_meet_by_name_and_numbers_as_floats() {
        let one = table(vec![Column::int("a", [Some(1), None]), Column::text("b", [Some("x"), Some("y")])]);
        let two = table(vec![Column::float("a", [Some(0.5)]), Column::float("b", [None]), Column::int("c", [Some(7)])]);
        let all = concat(vec![one, two]).unwrap();
        assert_eq!(all.rows(), 3);
        let cells = |name: &str| (0..3).map(|row| all.get(name).unwrap().cell(row)).collect::<Vec<_>>();
        assert_eq!(cells("a"), [Cell::Float(1.0), Cell::Missing, Cell::Float(0.5)]);
        assert_eq!(cells("b"), [Cell::Text("x"), Cell::Text("y"), Cell::Missing]);
        assert_eq!(cells("c"), [Cell::Missing, Cell::Missing, Cell::Int(7)]);
    }

    #[test]
    fn logged_rows_have_the_day_of_their_prediction_as_unit() {
        const DAY: i64 = 86_400_000_000;
        let at = Values::Timestamp { zone: Some("UTC".into()), micros: vec![DAY - 1, DAY, DAY + 5] };
        let logged = table(vec![Column::new("_predicted_at", at), Column::int("a", [Some(1), Some(2), Some(3)])]);
        let named = table(vec![Column::int("a", [Some(4)]), Column::text("_unit", [Some("shop 7")])]);
        let all = concat(vec![logged, named]).unwrap();
        let units: Vec<_> = (0..4).map(|row| all.get("_unit").unwrap().cell(row)).collect();
        let expected = ["1970-01-01", "1970-01-02", "1970-01-02", "shop 7"];
        assert_eq!(units, expected.map(Cell::Text));
    }

    #[test]
    fn text_and_numbers_do_not_meet() {
        let error = concat(vec![table(vec![Column::int("a", [Some(1)])]), table(vec![Column::text("a", [Some("1")])])]);
        assert!(error.unwrap_err().to_string().contains("column `a` is int in one artifact and text in another"));
    }
}
