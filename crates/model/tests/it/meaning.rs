//! What the README says missing, unknown, extra and differently typed values mean.

use gristmill_model::{Model, ModelError, Prediction, Scratch, proto};
use gristmill_types::{Cell, Column, Columns, Values};

use super::build;

fn model(change: impl FnOnce(&mut proto::Signature)) -> Model {
    let mut message = build::message(&build::case("logistic"));
    change(message.signature.as_mut().unwrap());
    Model::from_proto(message).unwrap()
}

fn bits(model: &Model, table: &Columns) -> Vec<u64> {
    model.predict(table).unwrap().probabilities.iter().map(|p| p.to_bits()).collect()
}

fn with(table: &Columns, column: Column) -> Columns {
    let mut columns = table.columns().to_vec();
    columns.retain(|c| c.name != column.name);
    columns.push(column);
    Columns::new(columns).unwrap()
}

#[test]
fn a_missing_column_reads_as_null_only_if_training_saw_nulls() {
    let table = build::table(&build::case("logistic"));
    let without = Columns::new(table.columns()[2..].to_vec()).unwrap();
    let nulls = vec![None; table.rows()];
    let emptied =
        with(&with(&table, Column::float("x0", nulls.clone())), Column::text("x1", nulls.iter().map(|_| None)));
    let lenient = model(|_| {});
    assert_eq!(bits(&lenient, &without), bits(&lenient, &emptied));
    let strict = model(|signature| signature.inputs.iter_mut().for_each(|input| input.nullable = false));
    let refused = strict.predict(&without).unwrap_err();
    assert_eq!(refused, ModelError::MissingColumns(vec!["`x0`".into(), "`x1`".into()]));
    assert_eq!(bits(&strict, &emptied), bits(&lenient, &emptied), "an explicit null is answered");
    let audit = strict.audit(&emptied).unwrap();
    assert_eq!((audit.inputs[0].name.as_str(), audit.inputs[0].unexpected_null), ("x0", table.rows()));
}

#[test]
fn order_and_extra_columns_do_not_matter_and_nan_is_null() {
    let table = build::table(&build::case("logistic"));
    let model = model(|_| {});
    let mut columns = table.columns().to_vec();
    columns.reverse();
    columns.push(Column::text("y", (0..table.rows()).map(|_| Some("yes"))));
    assert_eq!(bits(&model, &Columns::new(columns).unwrap()), bits(&model, &table));
    let null = with(&table, Column::float("x0", (0..table.rows()).map(|_| None)));
    let nan = with(&table, Column::new("x0", Values::Float(vec![f64::NAN; table.rows()])));
    assert_eq!(bits(&model, &null), bits(&model, &nan));
}

#[test]
fn unknown_categories_share_one_meaning_and_are_counted() {
    let table = build::table(&build::case("logistic"));
    let model = model(|signature| signature.inputs[4].values = ["red", "green", "blue"].map(str::to_owned).into());
    let colour = |value| with(&table, Column::text("colour", (0..table.rows()).map(|_| Some(value))));
    assert_eq!(bits(&model, &colour("mauve")), bits(&model, &colour("")));
    assert_ne!(bits(&model, &colour("mauve")), bits(&model, &colour("red")));
    let audit = model.audit(&colour("mauve")).unwrap();
    assert_eq!((audit.inputs.len(), audit.inputs[0].unknown), (1, table.rows()));
    assert_eq!(model.audit(&colour("red")).unwrap().inputs, []);
}

#[test]
fn values_out_of_range_are_used_and_counted() {
    let table = build::table(&build::case("logistic"));
    let model = model(|signature| (signature.inputs[0].min, signature.inputs[0].max) = (Some(-1.0), Some(1.0)));
    let far = with(&table, Column::float("x0", (0..table.rows()).map(|row| Some(if row < 3 { 50.0 } else { 0.5 }))));
    let near = with(&table, Column::float("x0", (0..table.rows()).map(|_| Some(0.5))));
    assert_ne!(bits(&model, &far)[..6], bits(&model, &near)[..6]);
    assert_eq!(model.audit(&far).unwrap().inputs[0].out_of_range, 3);
}

#[test]
fn other_types_are_read_where_that_has_one_meaning() {
    let table = build::table(&build::case("logistic"));
    let model = model(|_| {});
    let n = table.rows();
    let float = with(&table, Column::new("x1", Values::Float(vec![12.5; n])));
    let decimal = with(&table, Column::new("x1", Values::Decimal { scale: 3, unscaled: vec![12_500; n] }));
    assert_eq!(bits(&model, &float), bits(&model, &decimal));
    let whole = with(&table, Column::new("x1", Values::Float(vec![3.0; n])));
    assert_eq!(bits(&model, &whole), bits(&model, &with(&table, Column::new("x1", Values::Int(vec![3; n])))));
    let refused = model.predict(&with(&table, Column::text("x1", (0..n).map(|_| Some("3"))))).unwrap_err();
    assert_eq!(refused.to_string(), "column `x1` is text, the model needs float");
    let ints = self::model(|signature| signature.inputs[1].r#type = "int".into());
    assert_eq!(bits(&ints, &whole), bits(&model, &whole));
    let refused = ints.predict(&float).unwrap_err();
    assert_eq!(refused.to_string(), "column `x1`, row 0: `12.5` cannot be read as int");
    let numbers_as_text = with(&table, Column::new("colour", Values::Int(vec![7; n])));
    let text = with(&table, Column::text("colour", (0..n).map(|_| Some("7"))));
    assert_eq!(bits(&model, &numbers_as_text), bits(&model, &text));
}

#[test]
fn rows_have_one_cell_per_input() {
    let model = model(|_| {});
    let mut scratch = Scratch::default();
    let refused = model.predict_row(&[Cell::Missing], &mut scratch).unwrap_err();
    assert_eq!(refused, ModelError::CellCount { expected: 5, given: 1 });
    let wrong = [Cell::Float(1.0), Cell::Text("x"), Cell::Missing, Cell::Missing, Cell::Missing];
    let refused = model.predict_row_numbered(&wrong, 4, &mut scratch).unwrap_err();
    assert_eq!(refused.to_string(), "column `x1`, row 4: `x` cannot be read as float");
    let Prediction::Label { index, label, probabilities } =
        model.predict_row(&[Cell::Missing; 5], &mut scratch).unwrap()
    else {
        panic!("a label")
    };
    assert_eq!(label, ["no", "yes"][index]);
    assert_eq!(index == 1, probabilities[1] >= 0.5);
}

#[test]
fn the_threshold_is_the_least_positive_probability() {
    let mut message = build::message(&build::case("logistic"));
    let table = build::table(&build::case("logistic"));
    let p = Model::from_proto(message.clone()).unwrap().predict(&table).unwrap().positive().next().unwrap();
    for (threshold, expected) in [(p, 1), (p.next_up(), 0), (0.0, 1), (1.0, 0)] {
        message.output.as_mut().unwrap().threshold = threshold;
        let predictions = Model::from_proto(message.clone()).unwrap().predict(&table).unwrap();
        assert_eq!(predictions.predicted[0], expected, "{threshold}");
    }
}

#[test]
fn no_rows_are_no_predictions() {
    let table = build::table(&build::case("logistic")).take(&[]);
    let predictions = model(|_| {}).predict(&table).unwrap();
    assert_eq!((predictions.rows(), predictions.probabilities.len()), (0, 0));
}
