//! `runs diff`: what two runs were told, what they read, and what came of them.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_pipeline::file::{Given, Interval, Pipeline};
use gristmill_proto::ingestion::{GetIngestionJobRequest, IngestionResult};
use gristmill_proto::pipeline::RunSpec;
use serde_json::{Value, json};

use super::results::{RunResults, steps};
use super::runs;
use crate::cli::{Format, RunPair};
use crate::failure::{Exit, Failure};
use crate::output::{self, number, table};
use crate::session::Session;

/// One run with what its steps answered.
struct Side {
    results: RunResults,
    spec: RunSpec,
    ingested: Option<IngestionResult>,
    /// The object of `runs show`.
    object: Value,
}

/// Something that two runs have differently; null where one has none.
type Difference = (String, Value, Value);

/// Prints how two runs differ.
///
/// # Errors
/// One of them is unknown.
pub async fn diff(session: &Session, pair: &RunPair) -> Result<Exit, Failure> {
    let (a, b) = (side(session, &pair.a).await?, side(session, &pair.b).await?);
    let sections = sections(&a, &b)?;
    match pair.output {
        Format::Json => {
            let entry = |(name, a, b): &Difference| json!({"name": name, "a": a, "b": b});
            let mut object = serde_json::Map::new();
            object.insert("a".into(), a.object["run_id"].clone());
            object.insert("b".into(), b.object["run_id"].clone());
            object.insert("same".into(), sections.iter().all(|(_, all)| all.is_empty()).into());
            for (name, differences) in &sections {
                object.insert((*name).to_owned(), differences.iter().map(entry).collect());
            }
            output::json(&object)?;
        }
        Format::Text => output::text(&text(&a, &b, &sections))?,
    }
    Ok(Exit::Done)
}

async fn side(session: &Session, id: &str) -> Result<Side, Failure> {
    let run = runs::get(session, &runs::named(session, id).await?).await?;
    let spec = run.spec.clone().unwrap_or_default();
    let results = RunResults::gather(session, run).await?;
    let ingestion = steps(&results.run).iter().find(|step| step.stage == "ingestion" && !step.job_id.is_empty());
    let ingested = match ingestion {
        Some(step) => {
            let request = GetIngestionJobRequest { project: session.project.clone(), id: step.job_id.clone() };
            session.ingestion().get_ingestion_job(request).await?.into_inner().job.and_then(|job| job.result)
        }
        None => None,
    };
    let object = serde_json::to_value(results.object()).map_err(Failure::failed)?;
    Ok(Side { results, spec, ingested, object })
}

fn sections(a: &Side, b: &Side) -> Result<Vec<(&'static str, Vec<Difference>)>, Failure> {
    let strings = |map: &BTreeMap<String, String>| map.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    let parameters = |side: &Side| {
        let mut all: BTreeMap<String, Value> = strings(&side.spec.parameters);
        for (name, value) in [("interval_start", &side.spec.interval_start), ("interval_end", &side.spec.interval_end)]
        {
            if !value.is_empty() {
                all.insert(name.to_owned(), json!(value));
            }
        }
        all
    };
    let sources =
        |side: &Side| side.spec.uploads.iter().map(|(path, file)| (path.clone(), json!(file.digest))).collect();
    let artifacts = |side: &Side| {
        let all = side.object["artifacts"].as_array().cloned().unwrap_or_default();
        let mut by_kind: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for artifact in all {
            by_kind
                .entry(artifact["kind"].as_str().unwrap_or_default().into())
                .or_default()
                .push(artifact["digest"].clone());
        }
        by_kind.into_iter().map(|(kind, digests)| (kind, Value::Array(digests))).collect::<BTreeMap<_, _>>()
    };
    Ok(vec![
        ("parameters", differences(&parameters(a), &parameters(b))),
        ("sources", differences(&sources(a), &sources(b))),
        ("pipeline", differences(&pipeline(a)?, &pipeline(b)?)),
        ("dataset", differences(&dataset(a), &dataset(b))),
        ("leaderboard", differences(&leaderboard(a), &leaderboard(b))),
        ("metrics", differences(&metrics(a), &metrics(b))),
        ("artifacts", differences(&artifacts(a), &artifacts(b))),
    ])
}

/// What two maps have differently.
fn differences(a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>) -> Vec<Difference> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let of = |map: &BTreeMap<String, Value>, name: &String| map.get(name).cloned().unwrap_or_default();
    let all = names.into_iter().map(|name| (name.clone(), of(a, name), of(b, name)));
    all.filter(|(_, a, b)| a != b).collect()
}

/// Every setting of the file under its path, defaults filled in and parameters put in.
fn pipeline(side: &Side) -> Result<BTreeMap<String, Value>, Failure> {
    let spec = &side.spec;
    let interval = Interval { start: spec.interval_start.clone(), end: spec.interval_end.clone() };
    let given = Given { parameters: spec.parameters.clone(), interval };
    let parsed = Pipeline::parse(&spec.pipeline, &given).map_err(Failure::failed)?;
    let canonical: Value = serde_json::from_str(&parsed.canonical()).map_err(Failure::failed)?;
    let mut settings = BTreeMap::new();
    flatten("", &canonical, &mut settings);
    Ok(settings)
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(object) if !object.is_empty() => {
            object.iter().for_each(|(name, value)| flatten(&below(name), value, into));
        }
        // A list of plain values is one setting; of sections, each is.
        Value::Array(all) if all.iter().any(Value::is_object) => {
            all.iter().enumerate().for_each(|(at, value)| flatten(&format!("{path}[{at}]"), value, into));
        }
        value => _ = into.insert(path.to_owned(), value.clone()),
    }
}

fn dataset(side: &Side) -> BTreeMap<String, Value> {
    let Some(result) = &side.ingested else { return BTreeMap::new() };
    let mut facts = BTreeMap::from([
        ("rows".to_owned(), json!(result.rows)),
        ("filtered rows".to_owned(), json!(result.filtered_rows)),
    ]);
    facts.extend(result.fields.iter().map(|field| (format!("column {}", field.name), json!(field.r#type))));
    for join in &result.joins {
        facts.insert(format!("join {}", join.source), json!({"matched": join.matched, "unmatched": join.unmatched}));
    }
    facts
}

/// The number of trials, the best one, and the best score of each learner.
fn leaderboard(side: &Side) -> BTreeMap<String, Value> {
    let Some(study) = &side.results.study else { return BTreeMap::new() };
    let mut facts = BTreeMap::from([
        ("objective".to_owned(), json!(study.objective)),
        ("trials".to_owned(), json!(study.leaderboard.len())),
    ]);
    if let Some(best) = study.leaderboard.first() {
        facts.insert("winner".into(), json!(best.learner));
        facts.extend(best.parameters.iter().map(|(name, value)| (format!("winner's {name}"), json!(value))));
    }
    for row in &study.leaderboard {
        facts.entry(format!("best {}", row.learner)).or_insert_with(|| json!(row.score));
    }
    facts
}

fn metrics(side: &Side) -> BTreeMap<String, Value> {
    let Some(result) = &side.results.evaluation else { return BTreeMap::new() };
    let each = result.metrics.iter();
    let mut facts: BTreeMap<String, Value> =
        each.map(|m| (m.name.clone(), json!({"value": m.value, "low": m.low, "high": m.high}))).collect();
    facts.insert("verdict".into(), side.object["evaluation"]["verdict"].clone());
    facts
}

fn text(a: &Side, b: &Side, sections: &[(&'static str, Vec<Difference>)]) -> String {
    let id = |side: &Side| side.object["run_id"].as_str().unwrap_or_default().to_owned();
    let mut text = format!("a: run {}\nb: run {}\n", id(a), id(b));
    for (name, differences) in sections {
        if differences.is_empty() {
            text.push_str(&format!("\n{name}: the same\n"));
            continue;
        }
        let rows: Vec<Vec<String>> =
            differences.iter().map(|(name, a, b)| vec![name.clone(), cell(a), cell(b)]).collect();
        text.push_str(&format!("\n{}", table(&[name, "a", "b"], &rows)));
    }
    text
}

/// A value as a cell of a table; a metric with its interval.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.chars().take(48).collect(),
        Value::Number(value) => value.as_f64().map(number).unwrap_or_default(),
        Value::Array(all) => {
            all.iter().map(|one| cell(one).chars().take(12).collect::<String>()).collect::<Vec<_>>().join(" ")
        }
        Value::Object(object) => match (object.get("value"), object.get("low"), object.get("high")) {
            (Some(value), Some(low), Some(high)) => format!("{} ({} to {})", cell(value), cell(low), cell(high)),
            _ => object.iter().map(|(name, value)| format!("{name} {}", cell(value))).collect::<Vec<_>>().join(", "),
        },
        other => other.to_string(),
    }
}
