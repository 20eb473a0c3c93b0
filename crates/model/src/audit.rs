//! What in a table was unlike training: counted beside a prediction, never changing it.

use gristmill_types::{Cell, Column, Columns, Values};

use crate::signature::Input;
use crate::{Model, ModelError, read};

/// Counts per input of values that training had not seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audit {
    /// Rows looked at.
    pub rows: usize,
    /// Inputs with at least one count, in signature order.
    pub inputs: Vec<InputAudit>,
}

/// Counts of one input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InputAudit {
    /// The input's name.
    pub name: String,
    /// Nulls, where training had none.
    pub unexpected_null: usize,
    /// Numbers outside the range seen in training.
    pub out_of_range: usize,
    /// Texts outside the values seen in training (where they were recorded).
    pub unknown: usize,
}

impl Model {
    /// Counts what in `table` was unlike training.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn audit(&self, table: &Columns) -> Result<Audit, ModelError> {
        let bound = self.signature().bind(table)?;
        let inputs = self.signature().inputs().iter().zip(bound);
        let inputs = inputs.map(|(input, column)| input.audit(column, table.rows()));
        Ok(Audit { rows: table.rows(), inputs: inputs.filter(InputAudit::is_notable).collect() })
    }
}

impl InputAudit {
    const fn is_notable(&self) -> bool {
        self.unexpected_null + self.out_of_range + self.unknown > 0
    }
}

impl Input {
    fn audit(&self, column: Option<&Column>, rows: usize) -> InputAudit {
        let mut audit = InputAudit { name: self.name.clone(), ..InputAudit::default() };
        let mut nulls = 0;
        let known = column.map(|column| self.known(column));
        for row in 0..rows {
            let cell = column.map_or(Cell::Missing, |column| column.cell(row));
            let cell = read::typed(&self.column_type, cell).unwrap_or(Cell::Missing);
            if cell == Cell::Missing {
                nulls += 1;
                continue;
            }
            let value = f64::from(read::feature(cell));
            if self.column_type.is_numeric() && self.is_outside(value) {
                audit.out_of_range += 1;
            }
            if let Some(Known::Codes(known)) = &known
                && let Some(Column { values: Values::Text(text), .. }) = column
                && !text.codes.get(row).and_then(|code| known.get(*code as usize)).copied().unwrap_or(true)
            {
                audit.unknown += 1;
            }
        }
        if !self.nullable {
            audit.unexpected_null = nulls;
        }
        audit
    }

    /// Compares as f32, as features are: a bound written from one is not passed by it.
    fn is_outside(&self, value: f64) -> bool {
        let bound = |bound: f64| f64::from(read::to_f32(bound));
        self.min.is_some_and(|min| value < bound(min)) || self.max.is_some_and(|max| value > bound(max))
    }

    /// Which codes of a text column training had seen; nothing where it did not record them.
    fn known(&self, column: &Column) -> Known {
        match &column.values {
            Values::Text(text) if !self.values.is_empty() => {
                let seen: std::collections::HashSet<&str> = self.values.iter().map(String::as_str).collect();
                Known::Codes(text.values.iter().map(|value| seen.contains(value.as_str())).collect())
            }
            _ => Known::Anything,
        }
    }
}

enum Known {
    Anything,
    Codes(Vec<bool>),
}
