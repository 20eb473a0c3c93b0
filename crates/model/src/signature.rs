//! What a model reads: names, types and domains of its inputs, checked.

use std::collections::{HashMap, HashSet};

use gristmill_types::{Cell, Column, ColumnType, Columns, Limits};

use crate::{ModelError, proto, read};

/// Inputs in the order of a row's cells, columns that name rows, and the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    inputs: Vec<Input>,
    by_name: HashMap<String, usize>,
    id_columns: Vec<String>,
    target: String,
}

/// One input column.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Name by which it is found in a table or a JSON row.
    pub name: String,
    /// The type its cells are read as.
    pub column_type: ColumnType,
    /// Whether training saw nulls.
    pub nullable: bool,
    /// Least number seen in training.
    pub min: Option<f64>,
    /// Greatest number seen in training.
    pub max: Option<f64>,
    /// Texts seen in training, if few; empty when not recorded.
    pub values: Vec<String>,
}

/// The columns of a table that feed the inputs, in signature order; `None` reads as all missing.
pub(crate) type Bound<'a> = Vec<Option<&'a Column>>;

impl Signature {
    /// Checks the message.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] for empty or repeated names, unknown types, empty domains, a target among
    /// the inputs, or more columns than the limit.
    pub fn compile(message: &proto::Signature) -> Result<Self, ModelError> {
        let limits = Limits::DEFAULT;
        if message.inputs.len() + message.id_columns.len() > limits.columns {
            return Err(ModelError::invalid("signature", format!("has more than {} columns", limits.columns)));
        }
        let mut by_name = HashMap::new();
        let mut inputs = Vec::with_capacity(message.inputs.len());
        for (index, input) in message.inputs.iter().enumerate() {
            let at = || format!("signature.inputs[{index}]");
            if input.name.is_empty() || input.name == message.target {
                return Err(ModelError::invalid(at(), "has no name or that of the target"));
            }
            if by_name.insert(input.name.clone(), index).is_some() {
                return Err(ModelError::invalid(at(), format!("repeats the name `{}`", input.name)));
            }
            inputs.push(Input::compile(input).map_err(|reason| ModelError::invalid(at(), reason))?);
        }
        let mut ids = HashSet::new();
        if message.id_columns.iter().any(|name| name.is_empty() || !ids.insert(name.as_str())) {
            return Err(ModelError::invalid("signature.id_columns", "has an empty or repeated name"));
        }
        Ok(Self { inputs, by_name, id_columns: message.id_columns.clone(), target: message.target.clone() })
    }

    /// The inputs, in the order of a row's cells.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Columns carried beside a prediction to name its row.
    pub fn id_columns(&self) -> &[String] {
        &self.id_columns
    }

    /// The column that is predicted; empty if the message names none.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Position of the input named `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Finds the inputs in `table` and checks every value that the types alone do not settle.
    pub(crate) fn bind<'a>(&self, table: &'a Columns) -> Result<Bound<'a>, ModelError> {
        let named: HashMap<&str, &Column> = table.columns().iter().map(|c| (c.name.as_str(), c)).collect();
        let mut missing = Vec::new();
        let mut bound = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            let column = named.get(input.name.as_str()).copied();
            match column {
                Some(column) => input.check(column)?,
                None if !input.nullable => missing.push(format!("`{}`", input.name)),
                None => {}
            }
            // A column of nulls says nothing about its type.
            bound.push(column.filter(|column| column.null_count() < column.len()));
        }
        if missing.is_empty() { Ok(bound) } else { Err(ModelError::MissingColumns(missing)) }
    }

    /// Reads row `row`'s cell of input `index` as its type.
    pub(crate) fn cell<'a>(&self, index: usize, row: usize, cell: Cell<'a>) -> Result<Cell<'a>, ModelError> {
        let Some(input) = self.inputs.get(index) else {
            return Err(ModelError::CellCount { expected: self.inputs.len(), given: index + 1 });
        };
        read::typed(&input.column_type, cell).ok_or_else(|| input.bad_value(row, cell))
    }
}

impl Input {
    fn compile(message: &proto::InputColumn) -> Result<Self, String> {
        let column_type: ColumnType = message.r#type.parse()?;
        let low = message.min.unwrap_or(f64::NEG_INFINITY);
        let high = message.max.unwrap_or(f64::INFINITY);
        if low.is_nan() || high.is_nan() || low > high {
            return Err("has a range without values".into());
        }
        if message.values.len() > Limits::DEFAULT.categories {
            return Err(format!("lists more than {} values", Limits::DEFAULT.categories));
        }
        Ok(Self {
            name: message.name.clone(),
            column_type,
            nullable: message.nullable,
            min: message.min,
            max: message.max,
            values: message.values.clone(),
        })
    }

    /// Reads a cell as this input's type, as the README's table says; `None` if it has no reading. NaN is
    /// [`Cell::Missing`], and a text input takes every cell as it is.
    pub fn typed<'a>(&self, cell: Cell<'a>) -> Option<Cell<'a>> {
        read::typed(&self.column_type, cell)
    }

    /// Whether every value of `column` can be read as this input.
    fn check(&self, column: &Column) -> Result<(), ModelError> {
        use ColumnType as T;
        let given = column.column_type();
        match (&self.column_type, &given) {
            // Any value of these has a reading.
            (T::Text, _)
            | (T::Bool, T::Bool)
            | (T::Int, T::Int | T::Bool)
            | (T::Float, T::Float | T::Int | T::Bool | T::Decimal { .. })
            | (T::Decimal { .. }, T::Float | T::Int | T::Decimal { .. })
            | (T::Date, T::Date) => Ok(()),
            (T::Timestamp { zone: ours }, T::Timestamp { zone: theirs }) if ours.is_some() == theirs.is_some() => {
                Ok(())
            }
            // These depend on the value.
            (T::Int, T::Float | T::Decimal { .. })
            | (T::Bool, T::Int | T::Float | T::Text)
            | (T::Date | T::Timestamp { .. }, T::Text) => self.check_values(column),
            _ if column.null_count() == column.len() => Ok(()),
            _ => Err(ModelError::WrongType {
                column: self.name.clone(),
                expected: self.column_type.to_string(),
                given: given.to_string(),
            }),
        }
    }

    fn check_values(&self, column: &Column) -> Result<(), ModelError> {
        for row in 0..column.len() {
            let cell = column.cell(row);
            if read::typed(&self.column_type, cell).is_none() {
                return Err(self.bad_value(row, cell));
            }
        }
        Ok(())
    }

    fn bad_value(&self, row: usize, cell: Cell<'_>) -> ModelError {
        let mut value = String::new();
        read::write_text(&mut value, cell);
        if value.chars().count() > 40 {
            value = value.chars().take(40).chain(['…']).collect();
        }
        ModelError::BadValue {
            column: self.name.clone(),
            row,
            expected: self.column_type.to_string(),
            value: format!("`{value}`"),
        }
    }
}
