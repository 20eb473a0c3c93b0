//! The type that all values of a CSV column share.

use gristmill_types::ColumnType;

use super::cell::{parse_bool, parse_date, parse_float, parse_int, parse_timestamp};

/// What a column's values could still be, after those seen so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guess {
    bool: bool,
    int: bool,
    float: bool,
    date: bool,
    aware: bool,
    naive: bool,
    seen: bool,
}

impl Default for Guess {
    fn default() -> Self {
        Self { bool: true, int: true, float: true, date: true, aware: true, naive: true, seen: false }
    }
}

impl Guess {
    /// Takes one value that is not null into account.
    pub fn see(&mut self, text: &str) {
        self.seen = true;
        self.bool = self.bool && parse_bool(text, false).is_some();
        self.int = self.int && parse_int(text).is_some();
        self.float = self.float && (self.int || parse_float(text).is_some());
        self.date = self.date && parse_date(text).is_some();
        if self.aware || self.naive {
            let aware = parse_timestamp(text).map(|(_, aware)| aware);
            self.aware = self.aware && aware == Some(true);
            self.naive = self.naive && aware == Some(false);
        }
    }

    /// The narrowest type that fits; text if nothing else does or nothing was seen.
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self { seen: false, .. } => ColumnType::Text,
            Self { bool: true, .. } => ColumnType::Bool,
            Self { int: true, .. } => ColumnType::Int,
            Self { float: true, .. } => ColumnType::Float,
            Self { date: true, .. } => ColumnType::Date,
            Self { aware: true, .. } => ColumnType::Timestamp { zone: Some("UTC".into()) },
            Self { naive: true, .. } => ColumnType::Timestamp { zone: None },
            _ => ColumnType::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> String {
        let mut guess = Guess::default();
        values.iter().for_each(|v| guess.see(v));
        guess.column_type().to_string()
    }

    #[test]
    fn the_narrowest_type_that_fits_all_is_taken() {
        assert_eq!(of(&[]), "text");
        assert_eq!(of(&["1", "-20"]), "int");
        assert_eq!(of(&["1", "2.5"]), "float");
        assert_eq!(of(&["2.5", "1"]), "float");
        assert_eq!(of(&["01", "2"]), "text");
        assert_eq!(of(&["true", "False"]), "bool");
        assert_eq!(of(&["2013-01-01"]), "date");
        assert_eq!(of(&["2013-01-01", "x"]), "text");
        assert_eq!(of(&["2013-01-01T06:00:00Z"]), "timestamp[UTC]");
        assert_eq!(of(&["2013-01-01 06:00:00"]), "timestamp");
        assert_eq!(of(&["2013-01-01 06:00:00", "2013-01-01T06:00:00Z"]), "text");
    }
}
