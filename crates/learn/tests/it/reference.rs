//! Numbers beside scikit-learn's and LightGBM's (see `fixtures/make.py`).

use gristmill_learn::{
    FitContext, Fitted, FittedTransform, Folds, LearnerKind, NoHook, Override, ParamValue, Params, Recipe,
    RecipeOptions, TrainingSet, judge,
};
use gristmill_model::proto;
use gristmill_types::{Column, Columns};
use serde_json::Value;

use crate::support::{number, numbers, prepared, reference};

fn fit(set: &TrainingSet, kind: LearnerKind, params: &[(&str, ParamValue)]) -> Fitted {
    let mut all = kind.learner().space(set.train().task, set.train().rows()).defaults();
    all.0.extend(params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    kind.learner().fit(set, &all, &FitContext { seed: 3, rounds: None, hook: &NoHook }).unwrap()
}

fn loss(set: &TrainingSet, fitted: &Fitted) -> (f64, Option<f64>) {
    let judged = judge(fitted, set.validation().unwrap(), None).unwrap();
    (judged.loss, judged.metrics.get("roc_auc").copied())
}

/// Coefficients by output and column, and intercepts.
fn linear(fitted: &Fitted) -> (Vec<Vec<f64>>, Vec<f64>) {
    let Some(proto::predictor::Predictor::Linear(linear)) = &fitted.predictor.predictor else { panic!("not linear") };
    let outputs = linear.intercept.len();
    let of = |output: usize| linear.terms.iter().map(move |term| term.coefficient[output]).collect();
    ((0..outputs).map(of).collect(), linear.intercept.clone())
}

fn close(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (at, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what} {at}: {a} where the reference has {b}");
    }
}

fn l2(reference: &Value) -> (&'static str, ParamValue) {
    ("l2", ParamValue::Float(number(&reference["l2"])))
}

#[test]
fn logistic_coefficients_are_those_of_scikit_learn() {
    let all = reference();
    for name in ["breast_cancer", "wine"] {
        let (_, _, set) = prepared(name);
        let fitted = fit(&set, LearnerKind::Logistic, &[l2(&all)]);
        let (weights, intercept) = linear(&fitted);
        for (output, weights) in weights.iter().enumerate() {
            let theirs = numbers(&all[name]["logistic_coefficients"][output]);
            close(weights, &theirs, 2e-4, name);
        }
        // Softmax intercepts are determined up to a shift.
        let centre = |v: &[f64]| {
            let mean = if v.len() > 1 { v.iter().sum::<f64>() / v.len() as f64 } else { 0.0 };
            v.iter().map(|x| x - mean).collect::<Vec<_>>()
        };
        close(&centre(&intercept), &centre(&numbers(&all[name]["logistic_intercept"])), 2e-4, "intercept");
    }
}

#[test]
fn naive_bayes_probabilities_are_those_of_scikit_learn() {
    let all = reference();
    for name in ["breast_cancer", "wine"] {
        let (_, _, set) = prepared(name);
        let fitted = fit(&set, LearnerKind::NaiveBayes, &[]);
        let judged = judge(&fitted, set.validation().unwrap(), None).unwrap();
        let theirs: Vec<f64> = all[name]["bayes_probabilities"].as_array().unwrap().iter().flat_map(numbers).collect();
        close(&judged.predictions.probabilities, &theirs, 1e-4, name);
    }
}

#[test]
fn linear_coefficients_are_those_of_scikit_learn() {
    let all = reference();
    let (_, _, set) = prepared("diabetes");
    let ours = &all["diabetes"];
    let (weights, intercept) = linear(&fit(&set, LearnerKind::Linear, &[l2(&all)]));
    close(&weights[0], &numbers(&ours["ridge_coefficients"]), 1e-4, "ridge");
    close(&intercept, &[number(&ours["ridge_intercept"])], 1e-5, "intercept");
    let params = [("penalty", ParamValue::Float(0.01)), ("l1_ratio", ParamValue::Float(0.5))];
    let (weights, _) = linear(&fit(&set, LearnerKind::ElasticNet, &params));
    close(&weights[0], &numbers(&ours["net_coefficients"]), 5e-3, "elastic net");
}

#[test]
fn boosting_is_as_good_as_lightgbm() {
    let all = reference();
    let rounds = [("max_rounds", ParamValue::Int(60)), ("patience", ParamValue::Int(1_000))];
    for name in ["breast_cancer", "wine", "diabetes"] {
        let (_, _, set) = prepared(name);
        let kind = LearnerKind::Boosting;
        let mut params = kind.learner().space(set.train().task, set.train().rows()).defaults();
        params.0.extend(rounds.iter().map(|(n, v)| ((*n).to_owned(), v.clone())));
        // As many rounds as LightGBM had, not stopped early.
        let context = FitContext { seed: 3, rounds: Some(60), hook: &NoHook };
        let fitted = kind.learner().fit(&set, &params, &context).unwrap();
        let (ours, auc) = loss(&set, &fitted);
        let theirs = &all[name];
        if name == "diabetes" {
            let theirs = number(&theirs["boosting_rmse"]);
            assert!(ours < theirs * 1.05, "rmse {ours} where LightGBM has {theirs}");
        } else {
            let log_loss = number(&theirs["boosting_log_loss"]);
            // 36 rows of wine and 114 of breast cancer: a standard error is about 0.04.
            assert!(ours < log_loss + 0.04, "{name}: log loss {ours} where LightGBM has {log_loss}");
        }
        if let Some(auc) = auc {
            let theirs = number(&theirs["boosting_auc"]);
            assert!(auc > theirs - 0.01, "{name}: AUC {auc} where LightGBM has {theirs}");
        }
    }
}

#[test]
fn the_forest_is_as_good_as_scikit_learns() {
    let all = reference();
    for name in ["breast_cancer", "wine", "diabetes"] {
        let (_, _, set) = prepared(name);
        let params = [
            ("min_leaf", ParamValue::Int(5)),
            ("max_depth", ParamValue::Int(16)),
            ("features", ParamValue::Float(if name == "diabetes" { 0.5 } else { 0.2 })),
        ];
        let (ours, auc) = loss(&set, &fit(&set, LearnerKind::RandomForest, &params));
        let theirs = &all[name];
        if name == "diabetes" {
            let theirs = number(&theirs["forest_rmse"]);
            assert!(ours < theirs * 1.05, "rmse {ours} where scikit-learn has {theirs}");
        } else {
            let log_loss = number(&theirs["forest_log_loss"]);
            assert!(ours < log_loss + 0.03, "{name}: log loss {ours} where scikit-learn has {log_loss}");
        }
        if let Some(auc) = auc {
            let theirs = number(&theirs["forest_auc"]);
            assert!(auc > theirs - 0.01, "{name}: AUC {auc} where scikit-learn has {theirs}");
        }
    }
}

#[test]
fn full_target_encodings_are_those_of_scikit_learn() {
    let all = &reference()["encoding"];
    let colours: Vec<&str> = all["colours"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    let hits = all["hits"].as_array().unwrap().iter().map(Value::as_i64);
    let table =
        Columns::new(vec![Column::text("colour", colours.iter().map(|c| Some(*c))), Column::int("target", hits)])
            .unwrap();
    let mut options = RecipeOptions::for_target("target");
    options.overrides.insert("colour".into(), Override::TargetEncoding);
    let recipe = Recipe::automatic(&table, &options).unwrap();
    let fitted = FittedTransform::fit(&recipe, &table, &Folds::Rows { seed: 0 }).unwrap();
    let vocabulary = &fitted.transform.category[0].values;
    let values = fitted.transform.numeric.iter().find_map(|step| match &step.step {
        Some(proto::numeric_step::Step::CategoryTable(table)) => Some(&table.values),
        _ => None,
    });
    for (value, encoded) in vocabulary.iter().zip(&values.unwrap()[2..]) {
        let theirs = number(&all["table"][value]);
        assert!((encoded - theirs).abs() < 1e-12, "{value}: {encoded} where scikit-learn has {theirs}");
    }
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    let (_, _, set) = prepared("wine");
    let context = FitContext { seed: 0, rounds: None, hook: &NoHook };
    let mut params = Params::default();
    params.0.insert("max_depth".into(), ParamValue::Int(99));
    let error = LearnerKind::Boosting.learner().fit(&set, &params, &context).unwrap_err().to_string();
    assert!(error.contains("max_depth") && error.contains("boosting"), "{error}");
}
