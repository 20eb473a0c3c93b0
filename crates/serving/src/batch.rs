//! Batch prediction: a table in, a table of predictions out.

mod run;
mod service;

use std::collections::BTreeMap;
use std::path::Path;

use gristmill_frame::{Bounds, CsvOptions, DeclaredType, FileFormat, SourceSpec, column_as, read_file, read_parquet};
use gristmill_model::{Model, ModelError};
use gristmill_types::{Column, ColumnType, Columns};

pub(crate) use run::PredictionWork;
pub(crate) use service::{Prediction, PredictionServer};

use crate::ServingError;
use crate::log::prediction_columns;

/// Rows predicted at a time: what bounds the memory of the slots.
const BLOCK: usize = 65_536;
/// The column that names rows of a dataset; carried beside a prediction.
const ROW_KEY: &str = "_row_key";

/// How the input file is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct InputFormat {
    pub format: FileFormat,
    pub csv: CsvOptions,
}

/// Reads a caller's file with the types of the model's signature.
pub(crate) fn read_input(path: &Path, format: &InputFormat, model: &Model) -> Result<Columns, ServingError> {
    let bounds = Bounds::default();
    let mut spec = SourceSpec { format: format.format, csv: format.csv.clone(), ..SourceSpec::default() };
    let first = read_file(path, "input", &spec, &bounds)?;
    // Types can be declared only of columns that are there.
    let declared: BTreeMap<String, DeclaredType> = model
        .signature()
        .inputs()
        .iter()
        .filter(|input| first.get(&input.name).is_some_and(|column| differs(column, &input.column_type)))
        .filter(|input| input.column_type != (ColumnType::Timestamp { zone: None }))
        .map(|input| (input.name.clone(), input.column_type.clone().into()))
        .collect();
    if declared.is_empty() {
        return Ok(first);
    }
    if is_text(path, format.format)? {
        // Only the file's own text tells `007` from `7`.
        spec.columns = declared;
        return Ok(read_file(path, "input", &spec, &bounds)?);
    }
    let cast = |column: Column| match declared.get(&column.name) {
        // What the model reads as it is stays exact.
        Some(declared) if !readable(&column, &declared.column_type) => column_as(&column, declared, "input"),
        _ => Ok(column),
    };
    let columns = first.into_columns().into_iter().map(cast).collect::<Result<Vec<_>, _>>()?;
    Columns::new(columns).map_err(|error| ServingError::request("input", error.to_string()))
}

/// Reads the rows of a dataset artifact.
pub(crate) fn read_dataset(path: &Path) -> Result<Columns, ServingError> {
    Ok(read_parquet(path)?)
}

fn differs(column: &Column, expected: &ColumnType) -> bool {
    column.column_type() != *expected
}

/// Whether the model reads a column of this type without a cast.
fn readable(column: &Column, expected: &ColumnType) -> bool {
    match (expected, column.column_type()) {
        (ColumnType::Text, _) => true,
        (ColumnType::Timestamp { zone: ours }, ColumnType::Timestamp { zone: theirs }) => {
            ours.is_some() == theirs.is_some()
        }
        (expected, given) => expected.is_numeric() && given.is_numeric(),
    }
}

fn is_text(path: &Path, format: FileFormat) -> Result<bool, ServingError> {
    use std::io::Read as _;
    if format != FileFormat::Auto {
        return Ok(format == FileFormat::Csv);
    }
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    Ok(read.is_err() || &magic != b"PAR1")
}

/// Predicts a table: the columns that name its rows, `prediction`, `probability_<label>`; and what the
/// caller should know.
pub(crate) fn predict(model: &Model, table: &Columns) -> Result<(Columns, Vec<String>), ServingError> {
    let (mut predicted, mut outputs) = (Vec::new(), Vec::new());
    for start in (0..table.rows()).step_by(BLOCK) {
        let rows: Vec<usize> = (start..table.rows().min(start + BLOCK)).collect();
        let block = if rows.len() == table.rows() { model.predict(table) } else { model.predict(&table.take(&rows)) };
        let block = block.map_err(|error| shifted(error, start))?;
        predicted.extend(block.predicted);
        outputs.extend(block.values);
        outputs.extend(block.probabilities);
    }
    let predictions = prediction_columns(model.labels(), &predicted, &outputs);
    let mut columns: Vec<Column> = Vec::new();
    let ids = model.signature().id_columns().iter().map(String::as_str);
    for id in ids.chain([ROW_KEY]) {
        let taken = columns.iter().chain(&predictions).any(|column| column.name == id);
        if let Some(column) = table.get(id).filter(|_| !taken) {
            columns.push(column.clone());
        }
    }
    columns.extend(predictions);
    let warnings = warnings(model, table)?;
    let columns = Columns::new(columns).map_err(|error| ServingError::request("input", error.to_string()))?;
    Ok((columns, warnings))
}

/// An error of a block with the row it has in the table.
fn shifted(error: ModelError, start: usize) -> ModelError {
    match error {
        ModelError::BadValue { column, row, expected, value } => {
            ModelError::BadValue { column, row: row + start, expected, value }
        }
        other => other,
    }
}

fn warnings(model: &Model, table: &Columns) -> Result<Vec<String>, ServingError> {
    let signature = model.signature();
    let absent = signature.inputs().iter().filter(|input| table.get(&input.name).is_none());
    let mut warnings: Vec<String> =
        absent.map(|input| format!("column `{}` is not in the input: scored as missing", input.name)).collect();
    for id in signature.id_columns().iter().filter(|id| table.get(id).is_none()) {
        warnings.push(format!("column `{id}`, which names rows, is not in the input"));
    }
    let audit = model.audit(table)?;
    for input in audit.inputs.iter().filter(|input| table.get(&input.name).is_some()) {
        let counts = [
            (input.unexpected_null, "nulls where training had none"),
            (input.out_of_range, "numbers beyond the range of training"),
            (input.unknown, "values that training never saw"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            warnings.push(format!("column `{}` has {count} {what}", input.name));
        }
    }
    Ok(warnings)
}
