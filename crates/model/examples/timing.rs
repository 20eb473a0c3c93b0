//! Times one row and a batch through a model of 300 trees of depth 6 over 24 numeric inputs.
//!
//! `cargo run --release -p gristmill-model --example timing`

use std::time::Instant;

use gristmill_model::{Model, ModelError, Scratch, proto};
use gristmill_types::{Cell, Column, Columns, Values};

const TREES: u32 = 300;
const DEPTH: u32 = 6;
const INPUTS: u32 = 24;
const ROWS: u32 = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::from_proto(message())?;
    let value = |row: u32, input: u32| f64::from(mixed(row * INPUTS + input) % 1_000) / 1_000.0;
    let column =
        |input: u32| Column::new(format!("x{input}"), Values::Float((0..ROWS).map(|row| value(row, input)).collect()));
    let table = Columns::new((0..INPUTS).map(column).collect())?;
    single(&model, &table)?;
    batch(&model, &table)?;
    Ok(())
}

fn single(model: &Model, table: &Columns) -> Result<(), ModelError> {
    let mut scratch = Scratch::default();
    let mut best = f64::INFINITY;
    let mut sum = 0.0;
    for _ in 0..7 {
        let start = Instant::now();
        for row in 0..5_000 {
            let cells: [Cell<'_>; INPUTS as usize] = std::array::from_fn(|i| table.columns()[i].cell(row));
            sum += model.predict_row(&cells, &mut scratch)?.outputs().iter().sum::<f64>();
        }
        best = best.min(start.elapsed().as_secs_f64() / 5_000.0);
    }
    println!("one row: {:.2} µs (checksum {sum:.3})", best * 1e6);
    Ok(())
}

fn batch(model: &Model, table: &Columns) -> Result<(), ModelError> {
    let slots = model.transform_only(table)?;
    let mut best = [f64::INFINITY; 2];
    for _ in 0..3 {
        let start = Instant::now();
        model.predict(table)?;
        best[0] = best[0].min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        model.scores_from_slots(&slots.view())?;
        best[1] = best[1].min(start.elapsed().as_secs_f64());
    }
    let per_row = best.map(|seconds| seconds / f64::from(ROWS) * 1e6);
    println!("batch: {:.3} µs per row, {:.3} of them in the trees", per_row[0], per_row[1]);
    Ok(())
}

/// A model of full trees with pseudo-random features, thresholds and leaves.
fn message() -> proto::Model {
    let inputs = (0..INPUTS).map(|i| proto::InputColumn {
        name: format!("x{i}"),
        r#type: "float".into(),
        nullable: true,
        ..proto::InputColumn::default()
    });
    let numeric = (0..INPUTS).map(|input| proto::NumericStep {
        name: format!("x{input}"),
        step: Some(proto::numeric_step::Step::Number(proto::NumberInput { input })),
    });
    let ensemble = proto::TreeEnsemble {
        base_score: vec![0.0],
        feature_slots: (0..INPUTS).collect(),
        trees: (0..TREES).map(tree).collect(),
        divisor: 1.0,
    };
    proto::Model {
        format_version: 1,
        signature: Some(proto::Signature { inputs: inputs.collect(), ..proto::Signature::default() }),
        transform: Some(proto::Transform { numeric: numeric.collect(), ..proto::Transform::default() }),
        predictor: Some(proto::Predictor { predictor: Some(proto::predictor::Predictor::Trees(ensemble)) }),
        output: Some(proto::Output {
            task: proto::output::Task::Binary.into(),
            link: proto::output::Link::Logistic.into(),
            labels: vec!["no".into(), "yes".into()],
            threshold: 0.5,
            calibration: None,
        }),
        ..proto::Model::default()
    }
}

fn tree(number: u32) -> proto::Tree {
    let inner = (1 << DEPTH) - 1;
    let mut tree = proto::Tree::default();
    for node in 0..2 * inner + 1 {
        let random = mixed(number * 1_000 + node);
        let leaf = node >= inner;
        tree.feature.push(random % INPUTS);
        tree.threshold.push((random / INPUTS % 1_000) as f32 / 1_000.0);
        tree.left.push(if leaf { 0 } else { 2 * node + 1 });
        tree.right.push(if leaf { 0 } else { 2 * node + 2 });
        tree.missing_left.push(random.is_multiple_of(2));
        tree.value.push(f64::from(random % 2_001) / 1e5 - 0.01);
    }
    tree
}

/// A mixing of 32 bits (Chris Wellons' lowbias32).
fn mixed(value: u32) -> u32 {
    let mut x = value;
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}
