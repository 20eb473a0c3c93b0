//! Rows and models made for the tests.

use gristmill_model::proto::{
    Block, InputColumn, Linear, LinearTerm, Model, NumberInput, NumericStep, Origin, Output, Predictor, Signature,
    Transform, block, numeric_step, output, predictor,
};
use gristmill_stats::random::derive_seed;
use gristmill_types::{Column, Columns, Values};

/// Rows of a unit.
pub const PER_DAY: usize = 25;

/// A number in [-1, 1) that is drawn for its row and salt.
fn noise(row: usize, salt: u64) -> f64 {
    (derive_seed(salt, "made rows", row as u64) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// `rows` rows of 25 to a day. `late` is true with probability logistic(3 x), `delay` is 10 x and noise, `size` is the
/// third of three classes, and row keys count from `first`.
pub fn rows(rows: usize, first: i64) -> Columns {
    let key = |row: usize| first + row as i64;
    let at = |row: usize| key(row) as usize;
    let x = |row: usize| noise(at(row), 1);
    let late = |row: usize| 1.0 / (1.0 + libm::exp(-3.0 * x(row))) > 0.5 + 0.5 * noise(at(row), 2);
    let size = |row: usize| match x(row) + 0.4 * noise(at(row), 4) {
        v if v < -0.3 => "small",
        v if v < 0.3 => "medium",
        _ => "large",
    };
    Columns::new(vec![
        Column::float("x", (0..rows).map(|row| Some(x(row)))),
        Column::float("other", (0..rows).map(|row| Some(noise(at(row), 5)))),
        Column::new("late", Values::Bool((0..rows).map(late).collect())),
        Column::float("delay", (0..rows).map(|row| Some(10.0 * x(row) + 2.0 * noise(at(row), 3)))),
        Column::text("size", (0..rows).map(|row| Some(size(row)))),
        Column::int("_row_key", (0..rows).map(|row| Some(key(row)))),
        Column::text(
            "_unit",
            (0..rows)
                .map(|row| Some(format!("day {}", row / PER_DAY)))
                .collect::<Vec<_>>()
                .iter()
                .map(|d| d.as_deref()),
        ),
    ])
    .unwrap()
}

/// A model that reads one number and answers with linear scores of it.
pub struct Made {
    pub input: &'static str,
    pub target: &'static str,
    pub task: output::Task,
    pub link: output::Link,
    pub labels: &'static [&'static str],
    pub intercept: Vec<f64>,
    pub coefficient: Vec<f64>,
}

/// Predicts `late` by logistic(`slope` × x).
pub fn late(slope: f64) -> Made {
    Made {
        input: "x",
        target: "late",
        task: output::Task::Binary,
        link: output::Link::Logistic,
        labels: &["false", "true"],
        intercept: vec![0.0],
        coefficient: vec![slope],
    }
}

impl Made {
    /// The bytes of its file.
    pub fn bytes(&self) -> Vec<u8> {
        let input = InputColumn { name: self.input.into(), r#type: "float".into(), ..InputColumn::default() };
        let number =
            NumericStep { name: self.input.into(), step: Some(numeric_step::Step::Number(NumberInput { input: 0 })) };
        let mut block = Block { name: "raw".into(), slots: vec![0], ..Block::default() };
        block.set_kind(block::Kind::NumericRaw);
        let linear = Linear {
            intercept: self.intercept.clone(),
            terms: vec![LinearTerm { slot: 0, coefficient: self.coefficient.clone() }],
            one_hot: vec![],
        };
        let mut output = Output {
            labels: self.labels.iter().map(|label| (*label).to_owned()).collect(),
            threshold: 0.5,
            ..Output::default()
        };
        output.set_task(self.task);
        output.set_link(self.link);
        let origin = Origin {
            learner: "logistic".into(),
            parameters: [("l2".to_owned(), "0.1".to_owned())].into_iter().collect(),
            ..Origin::default()
        };
        gristmill_model::file::write(&Model {
            format_version: gristmill_model::FORMAT_VERSION,
            signature: Some(Signature { inputs: vec![input], id_columns: vec![], target: self.target.into() }),
            transform: Some(Transform { numeric: vec![number], blocks: vec![block], ..Transform::default() }),
            predictor: Some(Predictor { predictor: Some(predictor::Predictor::Linear(linear)) }),
            output: Some(output),
            origin: Some(origin),
            ..Model::default()
        })
    }
}
