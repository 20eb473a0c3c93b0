//! The example in a model file: raw rows with the predictions every reader must reproduce to the bit.

use std::fmt::Write as _;

use gristmill_types::{Cell, ColumnType, Columns};

use crate::{Model, ModelError, Scratch, calendar, proto, read};

/// Rows of an example at most.
const MAX_ROWS: usize = 1_000;

impl Model {
    /// Makes an example of `rows` of a table: cells as JSON text, with what this model predicts for them.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn example(&self, table: &Columns, rows: &[usize]) -> Result<proto::Example, ModelError> {
        let bound = self.signature().bind(table)?;
        let mut scratch = Scratch::default();
        let mut example = proto::Example::default();
        for row in rows {
            let cells = bound.iter().map(|column| column.map_or(Cell::Missing, |column| column.cell(*row)));
            let cells: Vec<Cell<'_>> = cells.collect();
            let mut texts = Vec::with_capacity(cells.len());
            for (input, cell) in cells.iter().enumerate() {
                let cell = self.signature().cell(input, *row, *cell)?;
                texts.push(match self.signature().inputs().get(input).map(|input| &input.column_type) {
                    // What counts of it is its text form.
                    Some(ColumnType::Text) => text_to_json(cell),
                    Some(ColumnType::Timestamp { zone }) => to_json(cell, zone.is_some()),
                    _ => to_json(cell, false),
                });
            }
            let outputs = self.predict_row_numbered(&cells, *row, &mut scratch)?.outputs().to_vec();
            example.rows.push(proto::ExampleRow { cells: texts, outputs });
        }
        Ok(example)
    }

    /// Predicts the example in the model's own file and compares bit by bit.
    ///
    /// # Errors
    /// [`ModelError::Example`] names the first row that differs; [`ModelError::Invalid`] if the example has
    /// cells that are not JSON scalars or more than 1,000 rows.
    pub fn check_example(&self) -> Result<(), ModelError> {
        let rows = self.proto().example.as_ref().map_or(&[][..], |example| &example.rows);
        if rows.len() > MAX_ROWS {
            return Err(ModelError::invalid("example", format!("has more than {MAX_ROWS} rows")));
        }
        let mut scratch = Scratch::default();
        for (number, row) in rows.iter().enumerate() {
            let cells = row.cells.iter().map(|text| from_json(text));
            let cells: Option<Vec<Owned>> = cells.collect();
            let cells = cells
                .ok_or_else(|| ModelError::invalid(format!("example.rows[{number}]"), "has a cell that is not JSON"))?;
            let inputs = self.signature().inputs();
            let cells: Vec<Cell<'_>> = cells
                .iter()
                .zip(inputs)
                .map(|(cell, input)| cell.borrow(matches!(input.column_type, ColumnType::Decimal { .. })))
                .collect();
            let found = self.predict_row_numbered(&cells, number, &mut scratch)?;
            let equal = found.outputs().iter().map(|v| v.to_bits()).eq(row.outputs.iter().map(|v| v.to_bits()));
            if !equal || row.cells.len() != inputs.len() {
                return Err(ModelError::Example { row: number });
            }
        }
        Ok(())
    }
}

/// A JSON scalar.
#[derive(Debug, PartialEq)]
enum Owned {
    Missing,
    Bool(bool),
    Int(i64),
    /// The number, and its digits and scale if it is a plain decimal.
    Float(f64, Option<(u32, i128)>),
    Text(String),
}

impl Owned {
    fn borrow(&self, exact: bool) -> Cell<'_> {
        match self {
            Self::Missing => Cell::Missing,
            Self::Bool(value) => Cell::Bool(*value),
            Self::Int(value) => Cell::Int(*value),
            Self::Float(_, Some((scale, unscaled))) if exact => Cell::Decimal { scale: *scale, unscaled: *unscaled },
            Self::Float(value, _) => Cell::Float(*value),
            Self::Text(text) => Cell::Text(text),
        }
    }
}

/// Writes a cell's text form as a JSON string, or null.
fn text_to_json(cell: Cell<'_>) -> String {
    let (mut form, mut json) = (String::new(), String::new());
    if !read::write_text(&mut form, cell) {
        return "null".into();
    }
    quote(&mut json, &form);
    json
}

/// Writes a typed cell as JSON text that [`from_json`] and any JSON reader give back.
fn to_json(cell: Cell<'_>, zoned: bool) -> String {
    let mut text = String::new();
    let written = match cell {
        // JSON has no infinity; as a feature it is the greatest number anyway.
        Cell::Float(value) => write!(text, "{:?}", value.clamp(f64::MIN, f64::MAX)),
        Cell::Timestamp(micros) => text
            .write_char('"')
            .and_then(|()| calendar::write_timestamp(&mut text, micros, zoned))
            .and_then(|()| text.write_char('"')),
        Cell::Text(_) | Cell::Date(_) | Cell::Missing => return text_to_json(cell),
        cell => {
            read::write_text(&mut text, cell);
            Ok(())
        }
    };
    // Writing into a String does not fail.
    written.map_or_else(|_| "null".into(), |()| text)
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if (c as u32) < 0x20 => {
                let code = c as u32;
                out.push_str("\\u00");
                out.extend(char::from_digit(code >> 4, 16));
                out.extend(char::from_digit(code & 15, 16));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Reads a JSON scalar.
fn from_json(text: &str) -> Option<Owned> {
    match text {
        "null" => Some(Owned::Missing),
        "true" => Some(Owned::Bool(true)),
        "false" => Some(Owned::Bool(false)),
        _ if text.starts_with('"') => unquote(text).map(Owned::Text),
        _ => {
            if let Ok(value) = text.parse() {
                return Some(Owned::Int(value));
            }
            let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
            Some(Owned::Float(value, plain_decimal(text)))
        }
    }
}

fn plain_decimal(text: &str) -> Option<(u32, i128)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let scale = u32::try_from(fraction.len()).ok().filter(|scale| *scale <= 38)?;
    let unscaled = format!("{whole}{fraction}").parse().ok()?;
    Some((scale, unscaled))
}

fn unquote(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => return None,
            '\\' => out.push(match rest.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'u' => {
                    let high = hex4(&mut rest)?;
                    if !(0xd800..0xdc00).contains(&high) {
                        char::from_u32(high)?
                    } else {
                        // A surrogate pair.
                        (rest.next()? == '\\' && rest.next()? == 'u').then_some(())?;
                        let low = hex4(&mut rest).filter(|low| (0xdc00..0xe000).contains(low))?;
                        char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?
                    }
                }
                c @ ('"' | '\\' | '/') => c,
                _ => return None,
            }),
            c => out.push(c),
        }
    }
    Some(out)
}

fn hex4(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |value, _| Some(value * 16 + chars.next()?.to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_survive_json() {
        for text in ["", "plain", "quote \" and \\ slash", "line\nbreak\u{1}", "é😀"] {
            let json = to_json(Cell::Text(text), false);
            assert_eq!(from_json(&json), Some(Owned::Text(text.into())));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
        assert_eq!(from_json("\"\\ud83d\\ude00\\n\""), Some(Owned::Text("😀\n".into())));
        assert_eq!(from_json(&to_json(Cell::Int(i64::MAX), false)), Some(Owned::Int(i64::MAX)));
        assert_eq!(to_json(Cell::Timestamp(0), true), "\"1970-01-01T00:00:00Z\"");
        assert_eq!(to_json(Cell::Date(0), false), "\"1970-01-01\"");
        let Some(Owned::Float(value, exact)) = from_json("-0.25") else { panic!("a number") };
        assert_eq!((value, exact), (-0.25, Some((2, -25))));
        for value in [0.1, 1e300, -2.5e-310, f64::MAX] {
            let Some(read) = from_json(&to_json(Cell::Float(value), false)) else { panic!("a number") };
            assert_eq!(read.borrow(false), Cell::Float(value));
        }
        for wrong in ["", "nul", "\"", "\"a\"b\"", "inf", "NaN", "\"\\ud83d\"", "1e999"] {
            assert_eq!(from_json(wrong), None, "{wrong}");
        }
    }
}
