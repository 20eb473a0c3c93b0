//! Tensors of the Open Inference Protocol and the tables they are.

mod grpc;
mod rest;

use gristmill_model::{Predictions, Signature, Task};
use gristmill_types::{Column, ColumnType, Columns, Limits, Text, Values};

pub(crate) use grpc::{read_request, write_response};
pub(crate) use rest::{Request, write_answer};

use crate::ServingError;
use crate::rows::short;

/// Names of the outputs, in the order they are answered.
pub(crate) const OUTPUTS: [&str; 3] = ["prediction", "probability", "prediction_id"];

/// Element types of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Datatype {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Fp16,
    Fp32,
    Fp64,
    Bytes,
}

/// Elements, row-major, with nulls where the encoding has them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Bool(Vec<Option<bool>>),
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
}

/// One input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub name: String,
    pub shape: Vec<i64>,
    pub data: Data,
}

impl Datatype {
    pub(crate) fn read(text: &str, at: &str) -> Result<Self, ServingError> {
        const ALL: [Datatype; 13] = [
            Datatype::Bool,
            Datatype::Int8,
            Datatype::Int16,
            Datatype::Int32,
            Datatype::Int64,
            Datatype::Uint8,
            Datatype::Uint16,
            Datatype::Uint32,
            Datatype::Uint64,
            Datatype::Fp16,
            Datatype::Fp32,
            Datatype::Fp64,
            Datatype::Bytes,
        ];
        ALL.into_iter().find(|datatype| datatype.as_str() == text).ok_or_else(|| {
            let problem = format!("`{}` is not a datatype: write BOOL, INT64, FP64, BYTES …", short(text));
            ServingError::request(format!("{at}.datatype"), problem)
        })
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Fp16 => "FP16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// The datatype a column of the signature is best sent in.
    pub(crate) const fn of(column_type: &ColumnType) -> Self {
        match column_type {
            ColumnType::Bool => Self::Bool,
            ColumnType::Int => Self::Int64,
            ColumnType::Float => Self::Fp64,
            ColumnType::Decimal { .. } | ColumnType::Text | ColumnType::Date | ColumnType::Timestamp { .. } => {
                Self::Bytes
            }
        }
    }
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::Bool(values) => values.len(),
            Self::Int(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Column `index` of `width` as the named column.
    fn column(&self, name: &str, width: usize, index: usize) -> Column {
        fn pick<T: Clone>(values: &[Option<T>], width: usize, index: usize) -> impl Iterator<Item = Option<T>> {
            values.iter().skip(index).step_by(width).cloned()
        }
        match self {
            Self::Bool(values) => {
                let (valid, values) = pick(values, width, index).map(|v| (v.is_some(), v.unwrap_or_default())).unzip();
                Column::with_valid(name, Values::Bool(values), valid)
            }
            Self::Int(values) => Column::int(name, pick(values, width, index)),
            Self::Float(values) => Column::float(name, pick(values, width, index)),
            Self::Text(values) => {
                let rows = values.iter().skip(index).step_by(width).map(Option::as_deref);
                let (text, valid) = Text::from_rows(rows);
                Column::with_valid(name, Values::Text(text), valid)
            }
        }
    }
}

/// The table that tensors are: one tensor of shape [n] or [n, 1] per input, by name, or one numeric tensor
/// of shape [n, inputs] in signature order. A decimal may be sent as text.
pub(crate) fn table(tensors: &[Tensor], signature: &Signature) -> Result<Columns, ServingError> {
    let inputs = signature.inputs();
    let limit = Limits::DEFAULT.request_rows;
    for (index, tensor) in tensors.iter().enumerate() {
        let at = || format!("inputs[{index}]");
        let expected = tensor
            .shape
            .iter()
            .try_fold(1_usize, |product, size| usize::try_from(*size).ok().and_then(|size| product.checked_mul(size)));
        if expected != Some(tensor.data.len()) {
            let problem = format!("has {} elements for shape {:?}", tensor.data.len(), tensor.shape);
            return Err(ServingError::request(at(), problem));
        }
    }
    let rows = tensors.first().and_then(|tensor| tensor.shape.first()).copied().unwrap_or(0);
    if usize::try_from(rows).is_ok_and(|rows| rows > limit) {
        return Err(ServingError::Limit { what: "rows", limit });
    }
    let columns = match tensors {
        [tensor] if is_matrix(tensor, inputs.len()) => inputs
            .iter()
            .enumerate()
            .map(|(index, input)| tensor.data.column(&input.name, inputs.len(), index))
            .collect(),
        _ => by_name(tensors)?,
    };
    let columns = decimals(columns, signature)?;
    Columns::new(columns).map_err(|error| ServingError::request("inputs", error.to_string()))
}

/// Whether a tensor holds all inputs, by position.
fn is_matrix(tensor: &Tensor, inputs: usize) -> bool {
    let width = tensor.shape.get(1).and_then(|width| usize::try_from(*width).ok());
    tensor.shape.len() == 2 && width == Some(inputs) && inputs > 1 && !matches!(tensor.data, Data::Text(_))
}

fn by_name(tensors: &[Tensor]) -> Result<Vec<Column>, ServingError> {
    let column = |(index, tensor): (usize, &Tensor)| match tensor.shape.as_slice() {
        [_] | [_, 1] => Ok(tensor.data.column(&tensor.name, 1, 0)),
        shape => {
            let problem =
                format!("has shape {shape:?}: send each input as [rows], or all numbers as one [rows, inputs]");
            Err(ServingError::request(format!("inputs[{index}]"), problem))
        }
    };
    tensors.iter().enumerate().map(column).collect()
}

/// Text sent for decimal inputs, as the exact decimals it writes.
fn decimals(columns: Vec<Column>, signature: &Signature) -> Result<Vec<Column>, ServingError> {
    let exact = |column: Column| {
        let input = signature.position(&column.name).and_then(|index| signature.inputs().get(index));
        let Some(ColumnType::Decimal { scale }) = input.map(|input| &input.column_type) else { return Ok(column) };
        let Values::Text(text) = &column.values else { return Ok(column) };
        let read = |row: usize| -> Result<i128, ServingError> {
            if !column.is_valid(row) {
                return Ok(0);
            }
            scaled(text.get(row), *scale).ok_or_else(|| {
                let problem = format!("row {row} is not a decimal with {scale} digits after the point");
                ServingError::request(column.name.clone(), problem)
            })
        };
        let unscaled = (0..column.len()).map(read).collect::<Result<_, _>>()?;
        let values = Values::Decimal { scale: *scale, unscaled };
        Ok(Column { name: column.name.clone(), values, valid: column.valid })
    };
    columns.into_iter().map(exact).collect()
}

/// A decimal text × 10^scale, if it has no more digits after the point than that.
fn scaled(text: &str, scale: u32) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let missing = scale.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let digits = fraction.bytes().all(|b| b.is_ascii_digit()) && whole.bytes().any(|b| b.is_ascii_digit());
    let unscaled: i128 = digits.then(|| [whole, fraction].concat().parse().ok())??;
    unscaled.checked_mul(10_i128.checked_pow(missing)?)
}

/// Which outputs are answered: those asked for, or all there are.
pub(crate) fn outputs(requested: &[String], task: Task) -> Result<Vec<&'static str>, ServingError> {
    let available: Vec<&'static str> =
        OUTPUTS.into_iter().filter(|name| *name != "probability" || task != Task::Regression).collect();
    if requested.is_empty() {
        return Ok(available);
    }
    let find = |name: &String| {
        available.iter().copied().find(|known| known == name).ok_or_else(|| {
            ServingError::request("outputs", format!("has no `{}`: there are {}", short(name), available.join(", ")))
        })
    };
    requested.iter().map(find).collect()
}

/// The predicted labels, row by row.
pub(crate) fn labels(predictions: &Predictions) -> impl Iterator<Item = &str> {
    predictions.predicted.iter().map(|index| predictions.labels.get(*index as usize).map_or("", String::as_str))
}
