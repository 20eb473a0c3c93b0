//! Logged rows column by column.

use gristmill_model::{Input, Model, Prediction, write_text};
use gristmill_types::{Cell, Column, ColumnType, Columns, ColumnsError, Micros, Values};

use super::PredictionIds;

/// Rows of one model and version.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    ids: Vec<u64>,
    at: Vec<Micros>,
    inputs: Vec<(Input, Builder)>,
    labels: Vec<String>,
    /// Index of the predicted label, for classes.
    predicted: Vec<u32>,
    /// Row-major: probabilities, or one value.
    outputs: Vec<f64>,
    text_bytes: usize,
    /// Text form of the cell being pushed.
    text: String,
}

#[derive(Debug, Clone)]
enum Builder {
    Bool(Vec<Option<bool>>),
    Int(Vec<Option<i64>>),
    /// Decimals too: what a caller sends need not have the column's scale.
    Float(Vec<Option<f64>>),
    Date(Vec<Option<i32>>),
    Timestamp(Vec<Option<Micros>>),
    /// Ends of the rows' texts in one text; a null ends where it starts.
    Text {
        text: String,
        ends: Vec<(usize, bool)>,
    },
}

impl Chunk {
    pub(super) fn new(model: &Model) -> Self {
        let builder = |input: &Input| match &input.column_type {
            ColumnType::Bool => Builder::Bool(Vec::new()),
            ColumnType::Int => Builder::Int(Vec::new()),
            ColumnType::Float | ColumnType::Decimal { .. } => Builder::Float(Vec::new()),
            ColumnType::Date => Builder::Date(Vec::new()),
            ColumnType::Timestamp { .. } => Builder::Timestamp(Vec::new()),
            ColumnType::Text => Builder::Text { text: String::new(), ends: Vec::new() },
        };
        Self {
            ids: Vec::new(),
            at: Vec::new(),
            inputs: model.signature().inputs().iter().map(|input| (input.clone(), builder(input))).collect(),
            labels: model.labels().to_vec(),
            predicted: Vec::new(),
            outputs: Vec::new(),
            text_bytes: 0,
            text: String::new(),
        }
    }

    pub(super) const fn rows(&self) -> usize {
        self.ids.len()
    }

    pub(super) const fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// First and last moment, if there are rows.
    pub(super) fn span(&self) -> Option<(Micros, Micros)> {
        Some((*self.at.iter().min()?, *self.at.iter().max()?))
    }

    pub(super) fn push<'c>(
        &mut self,
        id: u64,
        at: Micros,
        cells: impl Iterator<Item = Cell<'c>>,
        prediction: &Prediction<'_>,
    ) {
        self.ids.push(id);
        self.at.push(at);
        for ((input, builder), cell) in self.inputs.iter_mut().zip(cells) {
            let cell = input.typed(cell).unwrap_or(Cell::Missing);
            self.text_bytes += builder.push(cell, &mut self.text);
        }
        if let Prediction::Label { index, .. } = prediction {
            self.predicted.push(u32::try_from(*index).unwrap_or(u32::MAX));
        }
        self.outputs.extend_from_slice(prediction.outputs());
    }

    /// The table: `_prediction_id`, `_predicted_at`, `_version`, `_inclusion`, the inputs, `prediction`,
    /// `probability_<label>`. An input of one of those names gives way.
    pub(super) fn into_columns(
        self,
        ids: &PredictionIds,
        version: u32,
        inclusion: f64,
    ) -> Result<Columns, ColumnsError> {
        let rows = self.ids.len();
        let names: Vec<String> = self.ids.iter().map(|id| ids.text(*id)).collect();
        let at = Values::Timestamp { zone: Some("UTC".into()), micros: self.at };
        let mut columns = vec![
            Column::text("_prediction_id", names.iter().map(|name| Some(name.as_str()))),
            Column::new("_predicted_at", at),
            Column::new("_version", Values::Int(vec![i64::from(version); rows])),
            Column::new("_inclusion", Values::Float(vec![inclusion; rows])),
        ];
        let predictions = prediction_columns(&self.labels, &self.predicted, &self.outputs);
        for (input, builder) in self.inputs {
            let taken = columns.iter().chain(&predictions).any(|column| column.name == input.name);
            if !taken {
                columns.push(builder.finish(input));
            }
        }
        columns.extend(predictions);
        Columns::new(columns)
    }
}

/// `prediction` and `probability_<label>`: how every table of predictions shows them.
pub(crate) fn prediction_columns(labels: &[String], predicted: &[u32], outputs: &[f64]) -> Vec<Column> {
    if labels.is_empty() {
        return vec![Column::new("prediction", Values::Float(outputs.to_vec()))];
    }
    let label = |index: &u32| labels.get(*index as usize).map(String::as_str);
    let mut columns = vec![Column::text("prediction", predicted.iter().map(label))];
    for (index, label) in labels.iter().enumerate() {
        let values = outputs.chunks_exact(labels.len()).filter_map(|row| row.get(index).copied()).collect();
        columns.push(Column::new(format!("probability_{label}"), Values::Float(values)));
    }
    columns
}

impl Builder {
    /// Adds a typed cell; gives the bytes of text it took.
    fn push(&mut self, cell: Cell<'_>, scratch: &mut String) -> usize {
        match (self, cell) {
            (Self::Bool(values), Cell::Bool(value)) => values.push(Some(value)),
            (Self::Bool(values), _) => values.push(None),
            (Self::Int(values), Cell::Int(value)) => values.push(Some(value)),
            (Self::Int(values), _) => values.push(None),
            (Self::Float(values), Cell::Float(value)) => values.push(Some(value)),
            (Self::Float(values), Cell::Decimal { .. }) => {
                // The text form reads back as the nearest float.
                values.push(write_text(scratch, cell).then(|| scratch.parse().ok()).flatten());
            }
            (Self::Float(values), _) => values.push(None),
            (Self::Date(values), Cell::Date(value)) => values.push(Some(value)),
            (Self::Date(values), _) => values.push(None),
            (Self::Timestamp(values), Cell::Timestamp(value)) => values.push(Some(value)),
            (Self::Timestamp(values), _) => values.push(None),
            (Self::Text { text, ends }, cell) => {
                let before = text.len();
                let valid = if let Cell::Text(value) = cell {
                    text.push_str(value);
                    true
                } else {
                    let valid = write_text(scratch, cell);
                    if valid {
                        text.push_str(scratch);
                    }
                    valid
                };
                ends.push((text.len(), valid));
                return text.len() - before;
            }
        }
        0
    }

    fn finish(self, input: Input) -> Column {
        fn split<T: Default>(name: String, rows: Vec<Option<T>>, values: impl FnOnce(Vec<T>) -> Values) -> Column {
            let (valid, taken) = rows.into_iter().map(|row| (row.is_some(), row.unwrap_or_default())).unzip();
            Column::with_valid(name, values(taken), valid)
        }
        let name = input.name;
        match self {
            Self::Bool(rows) => split(name, rows, Values::Bool),
            Self::Int(rows) => split(name, rows, Values::Int),
            Self::Float(rows) => split(name, rows, Values::Float),
            Self::Date(rows) => split(name, rows, Values::Date),
            Self::Timestamp(rows) => {
                let zone = if let ColumnType::Timestamp { zone } = input.column_type { zone } else { None };
                split(name, rows, |micros| Values::Timestamp { zone, micros })
            }
            Self::Text { text, ends } => {
                let mut start = 0;
                let rows = ends.iter().map(|(end, valid)| {
                    let value = text.get(start..*end);
                    start = *end;
                    value.filter(|_| *valid)
                });
                Column::text(name, rows.collect::<Vec<_>>())
            }
        }
    }
}
