//! Builds model messages from the JSON of `fixtures/cases.json`, and small models by hand.

use std::sync::OnceLock;

use gristmill_model::proto::{
    self, CategoryStep, EnsembleMember, InputColumn, Isotonic, Linear, LinearTerm, NaiveBayes, NumericStep, OneHotTerm,
    Platt, Tree, TreeEnsemble, numeric_step::Step, predictor::Predictor as P,
};
use gristmill_types::{Cell, Column, Columns};
use serde_json::Value;

pub fn cases() -> &'static Value {
    static CASES: OnceLock<Value> = OnceLock::new();
    CASES.get_or_init(|| serde_json::from_str(include_str!("../fixtures/cases.json")).unwrap())
}

pub fn case(name: &str) -> Value {
    cases()["models"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap().clone()
}

pub fn message(case: &Value) -> proto::Model {
    let inputs = list(&case["inputs"], |input| InputColumn {
        name: text(&input["name"]),
        r#type: text(&input["type"]),
        nullable: input["nullable"].as_bool().unwrap(),
        ..InputColumn::default()
    });
    let numeric = case["numeric"].as_array().unwrap().iter().enumerate();
    let numeric =
        numeric.map(|(i, step)| NumericStep { name: format!("n{i}"), step: Some(numeric_step(step)) }).collect();
    let category = list(&case["category"], |step| CategoryStep {
        name: "c".into(),
        input: whole(&step["input"]),
        values: list(&step["values"], text),
        hash_buckets: 0,
    });
    proto::Model {
        format_version: 1,
        signature: Some(proto::Signature { inputs, id_columns: vec!["id".into()], target: "y".into() }),
        transform: Some(proto::Transform { numeric, category, ..proto::Transform::default() }),
        predictor: Some(predictor(&case["predictor"])),
        output: Some(output(&case["output"])),
        ..proto::Model::default()
    }
}

fn numeric_step(step: &Value) -> Step {
    let (kind, value) = step.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "number" => Step::Number(proto::NumberInput { input: whole(value) }),
        "impute" => Step::Impute(proto::Impute { slot: whole(&value[0]), value: float(&value[1]) as f32 }),
        "indicator" => Step::Indicator(proto::Indicator { slot: whole(value) }),
        "standardise" => Step::Standardise(proto::Standardise {
            slot: whole(&value[0]),
            mean: float(&value[1]),
            scale: float(&value[2]),
        }),
        other => panic!("no step {other}"),
    }
}

fn predictor(value: &Value) -> proto::Predictor {
    let (kind, v) = value.as_object().unwrap().iter().next().unwrap();
    let predictor = match kind.as_str() {
        "linear" => P::Linear(Linear {
            intercept: list(&v["intercept"], float),
            terms: list(&v["terms"], |t| LinearTerm { slot: whole(&t[0]), coefficient: list(&t[1], float) }),
            one_hot: list(&v["one_hot"], |t| OneHotTerm { category: whole(&t[0]), coefficient: list(&t[1], float) }),
        }),
        "trees" => P::Trees(TreeEnsemble {
            base_score: list(&v["base_score"], float),
            feature_slots: list(&v["feature_slots"], whole),
            trees: list(&v["trees"], tree),
            divisor: float(&v["divisor"]),
        }),
        "naive_bayes" => P::NaiveBayes(NaiveBayes {
            slots: list(&v["slots"], whole),
            log_prior: list(&v["log_prior"], float),
            mean: list(&v["mean"], float),
            variance: list(&v["variance"], float),
        }),
        "ensemble" => P::Ensemble(proto::Ensemble {
            members: list(v, |m| EnsembleMember {
                weight: float(&m[0]),
                link: m[1].as_i64().unwrap() as i32,
                predictor: Some(predictor(&m[2])),
            }),
        }),
        other => panic!("no predictor {other}"),
    };
    proto::Predictor { predictor: Some(predictor) }
}

fn tree(v: &Value) -> Tree {
    Tree {
        output: whole(&v["output"]),
        feature: list(&v["feature"], whole),
        threshold: list(&v["threshold"], |t| t.as_f64().map_or(f32::INFINITY, |t| t as f32)),
        left: list(&v["left"], whole),
        right: list(&v["right"], whole),
        missing_left: list(&v["missing_left"], |m| m.as_bool().unwrap()),
        value: list(&v["value"], float),
        cover: vec![],
    }
}

fn output(v: &Value) -> proto::Output {
    use proto::calibration::Calibration as C;
    let calibration = if let Some(platt) = v.get("platt") {
        Some(C::Platt(Platt { slope: float(&platt[0]), intercept: float(&platt[1]) }))
    } else {
        v.get("isotonic").map(|i| C::Isotonic(Isotonic { x: list(&i[0], float), y: list(&i[1], float) }))
    };
    proto::Output {
        task: v["task"].as_i64().unwrap() as i32,
        link: v["link"].as_i64().unwrap() as i32,
        labels: list(&v["labels"], text),
        threshold: float(&v["threshold"]),
        calibration: calibration.map(|calibration| proto::Calibration { calibration: Some(calibration) }),
    }
}

/// The rows of a case as a table: every input is a float or a text.
pub fn table(case: &Value) -> Columns {
    let rows = case["rows"].as_array().unwrap();
    let columns = case["inputs"].as_array().unwrap().iter().enumerate().map(|(index, input)| {
        let name = text(&input["name"]);
        let cells = rows.iter().map(|row| &row[index]);
        if input["type"] == "text" {
            Column::text(name, cells.map(Value::as_str))
        } else {
            Column::float(name, cells.map(Value::as_f64))
        }
    });
    Columns::new(columns.collect()).unwrap()
}

/// Cells of one row, in column order.
pub fn cells(table: &Columns, row: usize) -> Vec<Cell<'_>> {
    table.columns().iter().map(|column| column.cell(row)).collect()
}

pub fn list<T>(value: &Value, read: impl FnMut(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(read).collect()
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

pub fn float(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

pub fn whole(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}
