//! An integration without what only the target, the population or the splits needed.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_proto::ingestion::integration_step::Step;
use gristmill_proto::ingestion::{IngestionSpec, Integration, IntegrationStep};

/// What comes out of the integration.
#[derive(Debug, Clone, Default)]
pub(super) struct Needed {
    /// Columns the model reads.
    pub inputs: Vec<String>,
    /// Columns that name a row beside its prediction; left out where the new rows lack them.
    pub ids: Vec<String>,
}

/// A file in place of a source.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    /// Columns it has.
    pub columns: BTreeSet<String>,
    /// Columns the source had when the model was made.
    pub had: BTreeSet<String>,
}

/// The integration that is left, and what people should know about it.
#[derive(Debug)]
pub(super) struct Pruned {
    pub spec: IngestionSpec,
    pub notes: Vec<String>,
}

/// Leaves out what `needed` does not need. `before` has the columns of every source as recorded, `given` those
/// of the new files. The population filter stays where the new rows can answer it.
///
/// # Errors
/// Which columns of which source are missing, and what needs them.
pub(super) fn prune(
    spec: IngestionSpec,
    needed: &Needed,
    before: &BTreeMap<String, BTreeSet<String>>,
    given: &BTreeMap<String, Given>,
) -> Result<Pruned, String> {
    let filter = spec.integration.as_ref().map(|integration| integration.filter.clone()).unwrap_or_default();
    let whole = without_rest(spec.clone(), needed, before, given);
    if whole.is_ok() || filter.is_empty() {
        return whole;
    }
    let mut open = spec;
    if let Some(integration) = &mut open.integration {
        integration.filter.clear();
    }
    let mut pruned = without_rest(open, needed, before, given)?;
    pruned.notes.push(format!("the population `{filter}` is not known for the new rows: every row is scored"));
    Ok(pruned)
}

fn without_rest(
    mut spec: IngestionSpec,
    needed: &Needed,
    before: &BTreeMap<String, BTreeSet<String>>,
    given: &BTreeMap<String, Given>,
) -> Result<Pruned, String> {
    let mut integration = spec.integration.take().unwrap_or_default();
    if integration.base.is_empty() {
        integration.base = spec.sources.first().map(|source| source.name.clone()).unwrap_or_default();
    }
    let base = given.get(&integration.base);
    let absent: BTreeSet<&String> = base.map(|base| base.had.difference(&base.columns).collect()).unwrap_or_default();
    let mut wanted: BTreeSet<String> = needed.inputs.iter().cloned().collect();
    // The moment of prediction is checked for new rows, too.
    wanted.extend(words(&integration.known_at));
    wanted.extend(words(&integration.filter));
    let ids = needed.ids.iter().filter(|id| !absent.contains(id) && !needed.inputs.contains(id));
    let ids: Vec<String> = ids.cloned().collect();
    wanted.extend(ids.iter().cloned());
    let made = keep_steps(&mut integration, &mut wanted, before);
    let missing = absent.iter().filter(|name| wanted.contains(**name) && !made.contains(**name));
    let missing: Vec<String> = missing.map(|name| format!("`{name}`")).collect();
    if !missing.is_empty() {
        return Err(format!(
            "the new `{}` lacks {}, which the model's inputs are made from: add the column, with nulls where it is not known",
            integration.base,
            missing.join(", ")
        ));
    }
    let mut notes = Vec::new();
    if integration.key.iter().any(|name| absent.contains(name)) {
        notes.push("rows are named by all their columns: those that named them are missing".into());
        integration.key.clear();
    }
    // Units belong to splits and intervals.
    integration.unit.clear();
    if let Some(base) = base {
        integration.known_after.retain(|name| base.columns.contains(name));
    }
    integration.columns = needed.inputs.iter().cloned().chain(ids).collect();
    for source in &mut spec.sources {
        if let Some(new) = given.get(&source.name) {
            source.columns.retain(|column| new.columns.contains(&column.name));
        }
    }
    spec.integration = Some(integration);
    spec.expected_schema.clear();
    spec.refuse_anomalies = "never".into();
    Ok(Pruned { spec, notes })
}

/// Walks the steps backwards: a step stays when it gives what is wanted, and then what it reads is wanted, too. Answers the
/// columns that the steps which stay give.
fn keep_steps(
    integration: &mut Integration,
    wanted: &mut BTreeSet<String>,
    before: &BTreeMap<String, BTreeSet<String>>,
) -> BTreeSet<String> {
    let mut made = BTreeSet::new();
    let mut kept: Vec<IntegrationStep> = Vec::new();
    for step in std::mem::take(&mut integration.steps).into_iter().rev() {
        let step = match step.step {
            Some(Step::Derive(mut derive)) => {
                derive.columns.retain(|column| wanted.contains(&column.name));
                for column in &derive.columns {
                    wanted.extend(words(&column.expression));
                    // A column made from its own old self is still needed from before.
                    if !words(&column.expression).contains(&column.name) {
                        made.insert(column.name.clone());
                    }
                }
                (!derive.columns.is_empty()).then_some(Step::Derive(derive))
            }
            Some(Step::Join(join)) => {
                let gives = outputs(&join.source, &join.columns, &join.prefix, before);
                // Rows that may be multiplied are part of what the integration means.
                let stays = join.allow_multiple || gives.iter().any(|name| wanted.contains(name));
                if stays {
                    wanted.extend(join.on.iter().map(|key| key.left.clone()));
                    made.extend(gives);
                }
                stays.then_some(Step::Join(join))
            }
            Some(Step::AsOf(join)) => {
                let gives = outputs(&join.source, &join.columns, &join.prefix, before);
                let stays = gives.iter().any(|name| wanted.contains(name));
                if stays {
                    wanted.extend(join.on.iter().map(|key| key.left.clone()));
                    made.extend(gives);
                }
                stays.then_some(Step::AsOf(join))
            }
            Some(Step::Sql(text)) => {
                wanted.extend(words(&text));
                Some(Step::Sql(text))
            }
            None => None,
        };
        kept.extend(step.map(|step| IntegrationStep { step: Some(step) }));
    }
    kept.reverse();
    integration.steps = kept;
    made
}

/// The columns a join adds.
fn outputs(source: &str, columns: &[String], prefix: &str, before: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let all = before.get(source).into_iter().flatten();
    let taken: Vec<&String> = if columns.is_empty() { all.collect() } else { columns.iter().collect() };
    taken.into_iter().map(|column| format!("{prefix}{column}")).collect()
}

/// Every word of an expression that may name a column, quoted names too; texts in single quotes are values.
fn words(text: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for (at, outside) in text.split('\'').enumerate() {
        if at % 2 == 1 {
            continue;
        }
        for (at, piece) in outside.split('"').enumerate() {
            if at % 2 == 1 {
                words.insert(piece.to_owned());
                continue;
            }
            let parts = piece.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.extend(parts.filter(|part| !part.is_empty()).map(str::to_owned));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_proto::ingestion::{Derive, DerivedColumn, Join, JoinKey, Source};

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn spec() -> IngestionSpec {
        let derived = |name: &str, expression: &str| DerivedColumn { name: name.into(), expression: expression.into() };
        let join = |source: &str, column: &str| {
            Step::Join(Join {
                source: source.into(),
                on: vec![JoinKey { left: "tail".into(), right: "tail".into() }],
                columns: vec![column.into()],
                prefix: "plane_".into(),
                ..Join::default()
            })
        };
        let steps = [
            join("planes", "seats"),
            join("owners", "name"),
            Step::Derive(Derive { columns: vec![derived("late", "delay > 15"), derived("speed", "miles / hours")] }),
        ];
        IngestionSpec {
            sources: vec![Source { name: "flights".into(), ..Source::default() }],
            integration: Some(Integration {
                base: "flights".into(),
                steps: steps.into_iter().map(|step| IntegrationStep { step: Some(step) }).collect(),
                known_after: vec!["delay".into()],
                filter: "delay IS NOT NULL".into(),
                unit: "day".into(),
                ..Integration::default()
            }),
            expected_schema: "{}".into(),
            ..IngestionSpec::default()
        }
    }

    fn given(columns: &[&str]) -> BTreeMap<String, Given> {
        let had = set(&["tail", "miles", "hours", "delay", "day", "number"]);
        BTreeMap::from([("flights".to_owned(), Given { columns: set(columns), had })])
    }

    fn before() -> BTreeMap<String, BTreeSet<String>> {
        BTreeMap::from([
            ("flights".to_owned(), set(&["tail", "miles", "hours", "delay", "day", "number"])),
            ("planes".to_owned(), set(&["tail", "seats"])),
            ("owners".to_owned(), set(&["tail", "name"])),
        ])
    }

    #[test]
    fn what_only_the_target_needs_is_left_out() {
        let needed = Needed { inputs: vec!["plane_seats".into(), "speed".into()], ids: vec!["number".into()] };
        let pruned = prune(spec(), &needed, &before(), &given(&["tail", "miles", "hours", "number"])).unwrap();
        let integration = pruned.spec.integration.unwrap();
        assert_eq!(integration.steps.len(), 2, "the owners are not read: {integration:?}");
        assert_eq!(integration.columns, ["plane_seats", "speed", "number"]);
        assert!(integration.filter.is_empty() && integration.known_after.is_empty() && integration.unit.is_empty());
        assert!(pruned.spec.expected_schema.is_empty());
        assert!(pruned.notes.iter().any(|note| note.contains("delay IS NOT NULL")), "{:?}", pruned.notes);
    }

    #[test]
    fn a_population_that_new_rows_can_tell_stays() {
        let needed = Needed { inputs: vec!["speed".into()], ids: Vec::new() };
        let all = ["tail", "miles", "hours", "number", "delay", "day"];
        let pruned = prune(spec(), &needed, &before(), &given(&all)).unwrap();
        assert_eq!(pruned.spec.integration.unwrap().filter, "delay IS NOT NULL");
        assert!(pruned.notes.is_empty());
    }

    #[test]
    fn a_column_that_inputs_are_made_from_is_asked_for() {
        let needed = Needed { inputs: vec!["speed".into()], ids: Vec::new() };
        let error = prune(spec(), &needed, &before(), &given(&["tail", "miles"])).unwrap_err();
        assert!(error.contains("`hours`") && error.contains("`flights`") && !error.contains("delay"), "{error}");
    }

    #[test]
    fn words_are_names_and_no_texts() {
        assert_eq!(words("a + \"b c\" * x.d > 'e f'"), set(&["a", "b c", "x", "d"]));
    }
}
