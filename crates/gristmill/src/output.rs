//! Standard output: aligned tables, JSON objects, and a reader that goes away.

use std::io::{ErrorKind, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Prints text; a reader that has gone (`| head`) is no failure.
pub fn text(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes bytes as they are.
pub fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints one JSON object.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let rendered = serde_json::to_string_pretty(value).map_err(Failure::failed)?;
    text(&(rendered + "\n"))
}

/// Rows under their headings, columns as wide as their longest cell; numbers to the right.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain(headings.get(at).map(|heading| heading.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let numeric = |at: usize| !rows.is_empty() && rows.iter().all(|row| row.get(at).is_none_or(|cell| is_number(cell)));
    let right: Vec<bool> = (0..headings.len()).map(numeric).collect();
    let mut text = String::new();
    let heading_row: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
    for row in std::iter::once(&heading_row).chain(rows) {
        let mut line = String::new();
        for ((cell, width), right) in row.iter().zip(&widths).zip(&right) {
            let blanks = " ".repeat(width - cell.chars().count().min(*width));
            let (before, after) = if *right { (blanks.as_str(), "") } else { ("", blanks.as_str()) };
            line.push_str(before);
            line.push_str(cell);
            line.push_str(after);
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn is_number(cell: &str) -> bool {
    cell.is_empty() || cell.parse::<f64>().is_ok()
}

/// A number for people: whole ones as they are, others with four significant digits.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() { String::new() } else { value.to_string() };
    }
    if value == value.trunc() && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let magnitude = value.abs();
    if (1e-4..1e6).contains(&magnitude) {
        let mut digits = 4usize;
        let mut bound = 1.0;
        while magnitude >= bound && digits > 1 {
            (digits, bound) = (digits - 1, bound * 10.0);
        }
        return format!("{value:.digits$}");
    }
    format!("{value:.3e}")
}

/// Seconds for people.
pub fn seconds(seconds: f64) -> String {
    if seconds < 100.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_numbers_right_and_texts_left() {
        let rows = [vec!["a".into(), "1.5".into()], vec!["long name".into(), "12".into()]];
        assert_eq!(table(&["name", "value"], &rows), "name       value\na            1.5\nlong name     12\n");
        assert_eq!(table(&["name"], &[]), "name\n");
    }

    #[test]
    fn numbers_have_four_digits_that_matter() {
        let cases = [
            (0.0, "0"),
            (12.0, "12"),
            (0.62314, "0.6231"),
            (6.9314, "6.931"),
            (123.456, "123.5"),
            (12345.6, "12345.6"),
            (1e-7, "1.000e-7"),
            (f64::NAN, ""),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!(seconds(59.96), "60.0 s");
        assert_eq!(seconds(125.0), "2 min 05 s");
    }
}
