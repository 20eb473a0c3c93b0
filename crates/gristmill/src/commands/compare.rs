//! `models compare`: two versions side by side, from their recorded evaluations.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_evaluation::Evaluation;
use gristmill_proto::registry::{GetLineageRequest, ModelVersion};
use serde_json::{Value, json};

use crate::cli::{Format, ModelPair};
use crate::failure::{Exit, Failure};
use crate::names::ModelName;
use crate::output::{self, number, table};
use crate::session::Session;
use crate::transfer;

/// A version with what was measured, and what it was made from.
struct Side {
    version: ModelVersion,
    evaluation: Evaluation,
    /// `kind:digest` of every ancestor.
    lineage: BTreeSet<String>,
}

/// A name with its value on either side.
type Row = (String, Value, Value);

/// Prints two versions side by side.
///
/// # Errors
/// A version is unknown or was not evaluated.
pub async fn compare(session: &Session, pair: &ModelPair) -> Result<Exit, Failure> {
    let (a, b) = (side(session, &pair.a).await?, side(session, &pair.b).await?);
    let (metrics, parameters) = (rows(&metrics(&a), &metrics(&b)), rows(&facts(&a), &facts(&b)));
    let (inputs, lineage) = (only(&inputs(&a), &inputs(&b)), only(&a.lineage, &b.lineage));
    let same_rows = a.evaluation.rows.test == b.evaluation.rows.test;
    match pair.output {
        Format::Json => {
            let name = |side: &Side| json!({"name": side.version.name, "version": side.version.version});
            let entries = |rows: &[Row]| -> Value {
                rows.iter().map(|(name, a, b)| json!({"name": name, "a": a, "b": b})).collect()
            };
            let halves = |(a, b): &(Vec<String>, Vec<String>)| json!({"only_a": a, "only_b": b});
            output::json(&json!({
                "a": name(&a), "b": name(&b), "same_test_rows": same_rows, "metrics": entries(&metrics),
                "parameters": entries(&parameters), "inputs": halves(&inputs), "lineage": halves(&lineage),
            }))?;
        }
        Format::Text => {
            let name = |side: &Side| format!("{}:{}", side.version.name, side.version.version);
            let (a, b) = (name(&a), name(&b));
            let lines = |rows: &[Row]| -> Vec<Vec<String>> {
                rows.iter().map(|(name, a, b)| vec![name.clone(), cell(a), cell(b)]).collect()
            };
            let mut text = table(&["metric", &a, &b], &lines(&metrics));
            if !same_rows {
                text.push_str("measured on different test splits: the difference is not that of the models alone\n");
            }
            text.push_str(&format!("\n{}", table(&["", &a, &b], &lines(&parameters))));
            for (what, (left, right)) in [("inputs", &inputs), ("lineage", &lineage)] {
                if left.is_empty() && right.is_empty() {
                    text.push_str(&format!("\n{what}: the same\n"));
                }
                for (name, only) in [(&a, left), (&b, right)].into_iter().filter(|(_, only)| !only.is_empty()) {
                    text.push_str(&format!("\n{what} of {name} alone: {}\n", only.join(", ")));
                }
            }
            output::text(&text)?;
        }
    }
    Ok(Exit::Done)
}

async fn side(session: &Session, name: &str) -> Result<Side, Failure> {
    let version = ModelName::parse(name)?.resolve(session).await?;
    let artifact = version.evaluation.clone().ok_or_else(|| {
        Failure::usage(format!(
            "{} version {} was not evaluated: there is nothing to compare",
            version.name, version.version
        ))
    })?;
    let bytes = transfer::read(&mut session.artifacts(), &session.project, &artifact, "evaluation.json").await?;
    let evaluation = serde_json::from_slice(&bytes).map_err(Failure::failed)?;
    let request = GetLineageRequest { project: session.project.clone(), artifact: version.model.clone() };
    let ancestors = session.registry().get_lineage(request).await?.into_inner().ancestors;
    let named = ancestors.into_iter().filter_map(|node| node.artifact);
    let lineage = named.map(|artifact| format!("{}:{}", artifact.kind, artifact.digest)).collect();
    Ok(Side { version, evaluation, lineage })
}

fn metrics(side: &Side) -> BTreeMap<String, Value> {
    let each = side.evaluation.estimates.metrics.iter();
    each.map(|estimate| {
        let (low, high) = estimate.interval.as_ref().map_or((None, None), |i| (Some(i.low), Some(i.high)));
        (estimate.metric.name().to_owned(), json!({"value": estimate.value, "low": low, "high": high}))
    })
    .collect()
}

fn facts(side: &Side) -> BTreeMap<String, Value> {
    let model = &side.evaluation.model;
    let mut facts = BTreeMap::from([
        ("learner".to_owned(), json!(model.learner)),
        ("target".to_owned(), json!(model.target)),
        ("labels".to_owned(), json!(model.labels.join(", "))),
        ("threshold".to_owned(), json!(model.threshold)),
        ("calibration".to_owned(), json!(model.calibration)),
        ("verdict".to_owned(), json!(side.version.verdict)),
        ("run".to_owned(), json!(side.version.run_id)),
    ]);
    facts.extend(model.parameters.iter().map(|(name, value)| (format!("parameter {name}"), json!(value))));
    facts
}

fn inputs(side: &Side) -> BTreeSet<String> {
    side.evaluation.model.inputs.iter().cloned().collect()
}

fn rows(a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>) -> Vec<Row> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let of = |map: &BTreeMap<String, Value>, name: &String| map.get(name).cloned().unwrap_or_default();
    names.into_iter().map(|name| (name.clone(), of(a, name), of(b, name))).collect()
}

fn only(a: &BTreeSet<String>, b: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    (a.difference(b).cloned().collect(), b.difference(a).cloned().collect())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.parse::<f64>().map_or_else(|_| text.chars().take(48).collect(), number),
        Value::Number(value) => value.as_f64().map(number).unwrap_or_default(),
        Value::Object(metric) => {
            let of = |name: &str| cell(metric.get(name).unwrap_or(&Value::Null));
            format!("{} ({} to {})", of("value"), of("low"), of("high"))
        }
        other => other.to_string(),
    }
}
