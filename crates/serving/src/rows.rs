//! JSON rows straight into the cells of a signature.

use std::borrow::Cow;

use gristmill_model::{ModelError, Signature};
use gristmill_types::{Cell, ColumnType, Limits};

use crate::ServingError;
use crate::json::{Json, Scalar};

/// The rows of one request, row-major in signature order.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    cells: Vec<Slot<'a>>,
    width: usize,
    rows: usize,
}

/// A cell, or the text of one that had to be unescaped.
#[derive(Debug, Clone)]
enum Slot<'a> {
    /// The row does not have this key.
    Absent,
    Cell(Cell<'a>),
    Text(String),
}

impl<'a> Rows<'a> {
    /// Reads `{"rows": […]}` or `{"instances": […]}`. A row is an object by input name, of which other keys
    /// are not looked at, or an array in signature order. A key that is not there reads as null if the
    /// input was ever null in training.
    pub(crate) fn read(body: &'a [u8], signature: &Signature) -> Result<Self, ServingError> {
        let width = signature.inputs().len();
        let mut rows = Self { cells: Vec::with_capacity(width), width, rows: 0 };
        let mut found = false;
        let mut json = Json::new(body)?;
        json.object(|json, key| match key.as_ref() {
            "rows" | "instances" if !found => {
                found = true;
                json.array(|json| rows.read_row(json, signature))
            }
            "rows" | "instances" => Err(ServingError::request(key, "rows are given twice")),
            "parameters" => json.raw().map(drop).map_err(Into::into),
            _ => Err(ServingError::request(short(&key), "is not a field here: write {\"rows\": [{…}]}")),
        })?;
        json.end()?;
        if !found {
            return Err(ServingError::request("rows", "is missing: write {\"rows\": [{…}]}"));
        }
        Ok(rows)
    }

    pub(crate) const fn len(&self) -> usize {
        self.rows
    }

    /// Every row's cells, each in one reused buffer.
    pub(crate) fn for_each<E>(&self, mut each: impl FnMut(usize, &[Cell<'_>]) -> Result<(), E>) -> Result<(), E> {
        let mut cells = Vec::with_capacity(self.width);
        for row in 0..self.rows {
            cells.clear();
            let slots = self.cells.get(row * self.width..(row + 1) * self.width).unwrap_or_default();
            cells.extend(slots.iter().map(Slot::cell));
            each(row, &cells)?;
        }
        Ok(())
    }

    fn read_row(&mut self, json: &mut Json<'a>, signature: &Signature) -> Result<(), ServingError> {
        let limit = Limits::DEFAULT.request_rows;
        if self.rows == limit {
            return Err(ServingError::Limit { what: "rows", limit });
        }
        let (start, row) = (self.cells.len(), self.rows);
        self.rows += 1;
        if json.peek()? == b'[' {
            json.array(|json| self.read_cell(json, signature, row))?;
            let given = self.cells.len() - start;
            if given != self.width {
                return Err(ModelError::CellCount { expected: self.width, given }.into());
            }
            return Ok(());
        }
        self.cells.resize(start + self.width, Slot::Absent);
        // Clients write their keys in one order, mostly that of the signature.
        let mut next = 0;
        json.object(|json, key| {
            let inputs = signature.inputs();
            let guessed = inputs.get(next).is_some_and(|input| input.name == key);
            let index = if guessed { Some(next) } else { signature.position(&key) };
            let Some(index) = index else {
                return json.raw().map(drop).map_err(ServingError::from);
            };
            next = index + 1;
            let Some((slot, input)) = self.cells.get_mut(start + index).zip(inputs.get(index)) else { return Ok(()) };
            if !matches!(slot, Slot::Absent) {
                return Err(ServingError::request(format!("rows[{row}]"), format!("has `{}` twice", short(&key))));
            }
            *slot = read_slot(json, &input.column_type, &input.name, row)?;
            Ok(())
        })?;
        self.check_absent(start, signature)
    }

    /// Reads one element of a row that is an array.
    fn read_cell(&mut self, json: &mut Json<'a>, signature: &Signature, row: usize) -> Result<(), ServingError> {
        let index = self.cells.len() - row * self.width;
        let Some(input) = signature.inputs().get(index) else {
            return Err(ModelError::CellCount { expected: self.width, given: index + 1 }.into());
        };
        self.cells.push(read_slot(json, &input.column_type, &input.name, row)?);
        Ok(())
    }

    fn check_absent(&self, start: usize, signature: &Signature) -> Result<(), ServingError> {
        let slots = self.cells.get(start..).unwrap_or_default();
        if !slots.iter().any(|slot| matches!(slot, Slot::Absent)) {
            return Ok(());
        }
        let absent = slots.iter().zip(signature.inputs()).filter(|(slot, _)| matches!(slot, Slot::Absent));
        let missing: Vec<String> =
            absent.filter(|(_, input)| !input.nullable).map(|(_, input)| format!("`{}`", input.name)).collect();
        if missing.is_empty() { Ok(()) } else { Err(ModelError::MissingColumns(missing).into()) }
    }
}

impl Slot<'_> {
    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Absent => Cell::Missing,
            Self::Cell(cell) => *cell,
            Self::Text(text) => Cell::Text(text),
        }
    }
}

fn read_slot<'a>(
    json: &mut Json<'a>,
    column_type: &ColumnType,
    name: &str,
    row: usize,
) -> Result<Slot<'a>, ServingError> {
    let at = || format!("rows[{row}].{}", short(name));
    if let b'{' | b'[' = json.peek()? {
        return Err(ServingError::request(at(), "is an object or array: write a number, a text, true, false or null"));
    }
    Ok(match json.scalar()? {
        Scalar::Null => Slot::Cell(Cell::Missing),
        Scalar::Bool(value) => Slot::Cell(Cell::Bool(value)),
        Scalar::Text(text) if text.len() > Limits::DEFAULT.cell_bytes => {
            return Err(ServingError::request(at(), format!("has more than {} bytes", Limits::DEFAULT.cell_bytes)));
        }
        Scalar::Text(Cow::Borrowed(text)) => Slot::Cell(Cell::Text(text)),
        Scalar::Text(Cow::Owned(text)) => Slot::Text(text),
        Scalar::Number(text) => Slot::Cell(number(text, column_type).ok_or_else(|| {
            ServingError::request(at(), format!("`{}` is beyond the numbers that can be held", short(text)))
        })?),
    })
}

/// A number as exactly as its input can use it: integers by their digits, decimals for decimal and text
/// inputs, the nearest float otherwise.
pub(crate) fn number(text: &str, column_type: &ColumnType) -> Option<Cell<'static>> {
    if let Some(value) = integer(text) {
        return Some(Cell::Int(value));
    }
    if matches!(column_type, ColumnType::Decimal { .. } | ColumnType::Text)
        && let Some(cell) = decimal(text)
    {
        return Some(cell);
    }
    text.parse().ok().filter(|value: &f64| value.is_finite()).map(Cell::Float)
}

/// The integer a text of JSON's grammar writes, without fraction and exponent.
fn integer(text: &str) -> Option<i64> {
    // Eighteen digits always fit, and need no check of overflow.
    if text.len() <= 18 {
        let (negative, digits) = match text.as_bytes() {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let mut value = 0_i64;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            value = value * 10 + i64::from(digit - b'0');
        }
        return Some(if negative { -value } else { value });
    }
    text.parse().ok()
}

fn decimal(text: &str) -> Option<Cell<'static>> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let scale = u32::try_from(fraction.len()).ok().filter(|scale| *scale <= 38)?;
    let unscaled = [whole, fraction].concat().parse().ok()?;
    Some(Cell::Decimal { scale, unscaled })
}

/// A caller's text, cut for a message.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_model::proto;

    fn signature() -> Signature {
        let input = |name: &str, column_type: &str, nullable| proto::InputColumn {
            name: name.into(),
            r#type: column_type.into(),
            nullable,
            ..proto::InputColumn::default()
        };
        let inputs = vec![input("id", "int", false), input("price", "decimal(2)", true), input("city", "text", true)];
        Signature::compile(&proto::Signature { inputs, ..proto::Signature::default() }).unwrap()
    }

    fn read(body: &str) -> Result<Vec<String>, String> {
        let signature = signature();
        let rows = Rows::read(body.as_bytes(), &signature).map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        rows.for_each(|_, cells| {
            found.push(format!("{cells:?}"));
            Ok::<_, String>(())
        })?;
        Ok(found)
    }

    #[test]
    fn cells_keep_every_digit() {
        let body = r#"{"rows": [{"city": "Lyo\u006e", "more": [{}], "price": 0.10, "id": 9007199254740993},
            [1, 12345678901234567890.5, 0.1], {"id": -1}], "parameters": {}}"#;
        let found = read(body).unwrap();
        assert_eq!(found[0], "[Int(9007199254740993), Decimal { scale: 2, unscaled: 10 }, Text(\"Lyon\")]");
        let second =
            "[Int(1), Decimal { scale: 1, unscaled: 123456789012345678905 }, Decimal { scale: 1, unscaled: 1 }]";
        assert_eq!(found[1], second);
        assert_eq!(found[2], "[Int(-1), Missing, Missing]");
    }

    #[test]
    fn integers_have_their_whole_range() {
        for value in [0, -1, i64::MAX, i64::MIN, 999_999_999_999_999_999, -99_999_999_999_999_999] {
            assert_eq!(number(&value.to_string(), &ColumnType::Float), Some(Cell::Int(value)));
        }
        assert_eq!(number("9223372036854775808", &ColumnType::Int), Some(Cell::Float(9_223_372_036_854_775_808.0)));
        assert_eq!(number("1e400", &ColumnType::Float), None);
        assert_eq!(number("1.0", &ColumnType::Int), Some(Cell::Float(1.0)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("{}", "rows: is missing"),
            (r#"{"row": []}"#, "row: is not a field"),
            (r#"{"rows": [{"price": 1}]}"#, "columns are missing: `id`"),
            (r#"{"rows": [{"id": 1, "id": 2}]}"#, "rows[0]: has `id` twice"),
            (r#"{"rows": [{"id": [1]}]}"#, "rows[0].id: is an object or array"),
            (r#"{"rows": [[1, 2]]}"#, "the row has 2 cells"),
            (r#"{"rows": [[1, 2, 3, 4]]}"#, "the row has 4 cells"),
            (r#"{"rows": [{"id": 1e999}]}"#, "beyond the numbers"),
            (r#"{"rows": [{"id": 1}], "instances": []}"#, "given twice"),
            (r#"{"rows": [{"id": 1}]} x"#, "not valid JSON"),
        ];
        for (body, expected) in cases {
            let error = read(body).unwrap_err();
            assert!(error.contains(expected), "{body}: {error}");
        }
        assert_eq!(read(r#"{"instances": []}"#).unwrap(), Vec::<String>::new());
    }
}
