//! What holds across keys and sections.

use std::collections::BTreeSet;

use gristmill_stats::metric::Metric;
use gristmill_types::{ColumnType, Limits, Name};

use super::section::{Rule, Source, Split, SplitMethod, Step, Threshold};
use super::{API_VERSION, FileError, Pipeline, hint};

/// Checks a pipeline and fills in what depends on other keys.
pub(super) fn check(pipeline: &mut Pipeline) -> Result<(), FileError> {
    if pipeline.api_version != API_VERSION {
        let message = format!("`{}` is not a version this program knows: write {API_VERSION}", pipeline.api_version);
        return Err(FileError::at("apiVersion", message));
    }
    if pipeline.kind != "Pipeline" {
        return Err(FileError::at("kind", "write Pipeline"));
    }
    name("name", &pipeline.name)?;
    for (path, text) in [("interval.start", &pipeline.interval.start), ("interval.end", &pipeline.interval.end)] {
        moment(path, text)?;
    }
    sources(pipeline)?;
    dataset(pipeline)?;
    preparation(pipeline)?;
    training(pipeline)?;
    for (at, rule) in pipeline.evaluation.gate.iter().enumerate() {
        gate_rule(&format!("evaluation.gate[{at}]"), rule)?;
    }
    if !(0.5..1.0).contains(&pipeline.evaluation.confidence) {
        return Err(FileError::at("evaluation.confidence", "write a number from 0.5 to below 1, such as 0.95"));
    }
    if pipeline.registry.model.is_empty() {
        pipeline.registry.model.clone_from(&pipeline.name);
    }
    name("registry.model", &pipeline.registry.model)?;
    for (path, alias) in
        [("evaluation.champion", &pipeline.evaluation.champion), ("registry.promote", &pipeline.registry.promote)]
    {
        if !alias.is_empty() {
            name(path, alias)?;
        }
    }
    Ok(())
}

fn name(path: &str, text: &str) -> Result<(), FileError> {
    Name::new(text).map(drop).map_err(|error| FileError::at(path, error.to_string()))
}

/// Takes nothing, a day, or a day and a time with its zone.
fn moment(path: &str, text: &str) -> Result<(), FileError> {
    let digits = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.chars().zip(shape.chars()).all(|(c, s)| if s == '0' { c.is_ascii_digit() } else { c == s })
    };
    let (day, time) = text.split_once(['T', ' ']).map_or((text, None), |(day, time)| (day, Some(time)));
    let zoned = |time: &str| {
        let bare = time.strip_suffix('Z').or_else(|| {
            let (bare, zone) = time.split_at_checked(time.len().checked_sub(6)?)?;
            (digits(zone, "+00:00") || digits(zone, "-00:00")).then_some(bare)
        });
        bare.is_some_and(|bare| digits(bare.split('.').next().unwrap_or(""), "00:00:00"))
    };
    if text.is_empty() || (digits(day, "0000-00-00") && time.is_none_or(zoned)) {
        return Ok(());
    }
    let message = format!("`{text}` is not a moment: write 2013-08-31 or 2013-08-31T06:00:00Z");
    Err(FileError::at(path, message))
}

fn sources(pipeline: &Pipeline) -> Result<(), FileError> {
    if pipeline.sources.is_empty() {
        return Err(FileError::at("sources", "name at least one source"));
    }
    if pipeline.sources.len() > Limits::DEFAULT.sources {
        let message = format!("at most {} sources are allowed", Limits::DEFAULT.sources);
        return Err(FileError::at("sources", message));
    }
    for (name, source) in &pipeline.sources {
        let path = format!("sources.{name}");
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !plain || !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.len() > 63 || name == "input" {
            let message = "a source's name is a table name in SQL: lower-case letters, digits and _, starting with a \
                           letter, and not `input`";
            return Err(FileError::at(path, message));
        }
        source_details(&path, source)?;
    }
    Ok(())
}

fn source_details(path: &str, source: &Source) -> Result<(), FileError> {
    if source.path.is_empty() {
        return Err(FileError::at(format!("{path}.path"), "name a file"));
    }
    for (key, text) in [("delimiter", &source.csv.delimiter), ("quote", &source.csv.quote)] {
        if text.len() > 1 {
            return Err(FileError::at(format!("{path}.csv.{key}"), "write one character, such as \";\" or \"\\t\""));
        }
    }
    for (column, text) in &source.columns {
        column_type(text).map_err(|error| FileError::at(format!("{path}.columns.{column}"), error))?;
    }
    Ok(())
}

/// A type, or `timestamp[Area/City] from Zone`: the file's naive timestamps are of the second zone, people
/// read them in the first.
fn column_type(text: &str) -> Result<(), String> {
    let (shown, stored) = text.split_once(" from ").map_or((text, None), |(shown, stored)| (shown, Some(stored)));
    match (shown.parse::<ColumnType>()?, stored) {
        (_, None) => Ok(()),
        (ColumnType::Timestamp { zone: Some(_) }, Some(stored)) if !stored.trim().is_empty() => Ok(()),
        _ => Err("write `timestamp[Area/City] from Zone`".into()),
    }
}

fn dataset(pipeline: &mut Pipeline) -> Result<(), FileError> {
    let known: BTreeSet<String> = pipeline.sources.keys().cloned().collect();
    if pipeline.dataset.base.is_empty() {
        match (known.len(), known.first()) {
            (1, Some(only)) => pipeline.dataset.base.clone_from(only),
            _ => return Err(FileError::at("dataset.base", "name the source whose rows are the rows")),
        }
    }
    let dataset = &pipeline.dataset;
    let is_source = |path: String, name: &str| {
        if known.contains(name) {
            return Ok(());
        }
        let hint = hint(name, known.iter().map(String::as_str));
        Err(FileError::at(path, format!("`{name}` is not a source: {hint}")))
    };
    is_source("dataset.base".into(), &dataset.base)?;
    for (at, step) in dataset.steps.iter().enumerate() {
        let path = format!("dataset.steps[{at}]");
        match step {
            Step::Sql(text) => sql(&path, text)?,
            Step::Join(join) => {
                is_source(format!("{path}.join.source"), &join.source)?;
                share(&format!("{path}.join.min_matched"), join.min_matched)?;
                if join.on.is_empty() {
                    return Err(FileError::at(format!("{path}.join.on"), "name the columns that must be equal"));
                }
            }
            Step::AsOf(join) => {
                is_source(format!("{path}.as_of.source"), &join.source)?;
                share(&format!("{path}.as_of.min_matched"), join.min_matched)?;
                as_of(&path, pipeline, &join.source)?;
            }
            Step::Derive(columns) => {
                columns.0.iter().try_for_each(|(name, text)| sql(&format!("{path}.derive.{name}"), text))?;
            }
        }
    }
    for (path, text) in [("known_at", &dataset.known_at), ("filter", &dataset.filter), ("unit", &dataset.unit)] {
        if !text.is_empty() {
            sql(&format!("dataset.{path}"), text)?;
        }
    }
    Ok(())
}

fn as_of(path: &str, pipeline: &Pipeline, source: &str) -> Result<(), FileError> {
    if pipeline.dataset.known_at.is_empty() {
        let message = "an as-of join needs `dataset.known_at`, the moment of prediction";
        return Err(FileError::at(format!("{path}.as_of"), message));
    }
    if pipeline.sources.get(source).is_some_and(|source| source.available.is_none()) {
        let message = format!("`{source}` needs `sources.{source}.available`: when can a row be known?");
        return Err(FileError::at(format!("{path}.as_of.source"), message));
    }
    Ok(())
}

fn sql(path: &str, text: &str) -> Result<(), FileError> {
    let limit = Limits::DEFAULT.sql_bytes;
    if text.trim().is_empty() {
        return Err(FileError::at(path, "write SQL"));
    }
    if text.len() > limit {
        return Err(FileError::at(path, format!("SQL may have at most {limit} bytes, this has {}", text.len())));
    }
    Ok(())
}

fn share(path: &str, value: f64) -> Result<(), FileError> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(FileError::at(path, "write a share from 0 to 1")) }
}

fn preparation(pipeline: &Pipeline) -> Result<(), FileError> {
    let preparation = &pipeline.preparation;
    if preparation.target.is_empty() {
        return Err(FileError::at("preparation.target", "name the column that is predicted"));
    }
    if preparation.exclude.contains(&preparation.target) {
        let message = format!("`{}` is the target, it is never a feature", preparation.target);
        return Err(FileError::at("preparation.exclude", message));
    }
    split(&preparation.split)
}

fn split(split: &Split) -> Result<(), FileError> {
    match [split.train, split.validation, split.test] {
        [None, None, None] => {}
        [Some(train), Some(validation), Some(test)] => {
            let sum = train + validation + test;
            if [train, validation, test].iter().any(|share| *share <= 0.0) || (sum - 1.0).abs() > 1e-9 {
                return Err(FileError::at("preparation.split", "the three shares are above 0 and sum to 1"));
            }
        }
        _ => return Err(FileError::at("preparation.split", "give train, validation and test together")),
    }
    let bounds = [&split.train_until, &split.validation_until];
    if bounds[0].is_empty() != bounds[1].is_empty() {
        let message = "give both train_until and validation_until, or neither";
        return Err(FileError::at("preparation.split", message));
    }
    let timed = !bounds[0].is_empty() || split.gap.0 > 0;
    if timed && !matches!(split.method, SplitMethod::Time | SplitMethod::Auto) {
        let message = "train_until, validation_until and gap belong to `method: time`";
        return Err(FileError::at("preparation.split.method", message));
    }
    if split.method == SplitMethod::Group && split.column.is_empty() {
        return Err(FileError::at("preparation.split.column", "name the column of the groups"));
    }
    Ok(())
}

fn training(pipeline: &Pipeline) -> Result<(), FileError> {
    if let Threshold::Cost { false_positive, false_negative } = pipeline.training.threshold {
        let fine = |cost: f64| cost.is_finite() && cost >= 0.0;
        if !fine(false_positive) || !fine(false_negative) || false_positive + false_negative <= 0.0 {
            let message = "costs are 0 or more, and not both 0";
            return Err(FileError::at("training.threshold", message));
        }
    }
    Ok(())
}

fn gate_rule(path: &str, rule: &Rule) -> Result<(), FileError> {
    let metric: Metric = rule.metric.parse().map_err(|_| {
        let known = Metric::ALL.iter().filter(|metric| metric.gateable()).map(|metric| metric.name());
        let message = format!("`{}` is not a metric: {}", rule.metric, hint(&rule.metric, known));
        FileError::at(format!("{path}.metric"), message)
    })?;
    let bounds = [rule.min, rule.max, rule.champion_margin, rule.champion_gain, rule.suspicious_gain];
    if bounds.iter().flatten().any(|bound| !bound.is_finite()) {
        return Err(FileError::at(path, "a bound is a finite number"));
    }
    let decides = rule.better_than_constant || bounds.iter().any(Option::is_some);
    if decides && !metric.gateable() {
        let message = format!("{metric} is shown but cannot gate: a constant predictor scores about 0");
        return Err(FileError::at(format!("{path}.metric"), message));
    }
    Ok(())
}
