//! The preparation: split and recipe, each with its reason.

use gristmill_learn::{Recipe, Treatment};
use gristmill_preparation::SplitReport;
use gristmill_report::{Align, Section, Table, TableCell, Tone, count, definitions, note};

use super::Documents;

pub(super) fn sections(documents: &Documents) -> Vec<Section> {
    let mut sections = Vec::new();
    sections.extend(split(&documents.splits));
    sections.extend(documents.recipe.as_ref().map(recipe));
    sections
}

fn split(splits: &[SplitReport]) -> Option<Section> {
    let first = splits.first()?;
    let mut table = Table::new(&[
        ("Split", Align::Left),
        ("Rows", Align::Right),
        ("Units", Align::Right),
        ("Until", Align::Left),
        ("Opened by", Align::Left),
    ]);
    for split in splits {
        let (until, opened) = match split.part.as_str() {
            "train" => (split.until.map(|until| until.0.to_string()), "training"),
            "validation" => (
                split.until.map(|until| until.1.to_string()),
                "training: early stopping, choice of trial, calibration, threshold",
            ),
            _ => (None, "evaluation alone"),
        };
        table.push(vec![
            TableCell::text(&split.part),
            TableCell::count(split.rows as u64),
            TableCell::count(split.units as u64),
            TableCell::text(until.unwrap_or_else(|| "–".into())),
            TableCell::text(opened),
        ]);
    }
    let facts = [
        ("Why".to_owned(), first.plan.reason.clone()),
        ("Unit of dependence".into(), first.unit.clone()),
        ("Rows without a target, in no split".into(), count(first.rows_without_target as u64)),
        ("Rows in a gap or without a time, in no split".into(), count(first.rows_left as u64)),
    ];
    Some(Section::new("Split").block(table.render()).block(definitions(&facts)))
}

fn recipe(recipe: &Recipe) -> Section {
    let mut table = Table::new(&[
        ("Column", Align::Left),
        ("Type", Align::Left),
        ("Used", Align::Left),
        ("What is done", Align::Left),
        ("Why", Align::Left),
    ]);
    for plan in &recipe.columns {
        let used = match plan.treatment {
            Treatment::Drop => TableCell::badge(Tone::Neutral, "no"),
            _ => TableCell::badge(Tone::Good, "yes"),
        };
        table.push(vec![
            TableCell::text(&plan.column),
            TableCell::code(plan.column_type.to_string()),
            used,
            TableCell::text(&plan.what),
            TableCell::text(&plan.why),
        ]);
    }
    for elapsed in &recipe.elapsed {
        table.push(vec![
            TableCell::text(format!("{} to {}", elapsed.from, elapsed.to)),
            TableCell::code("seconds"),
            TableCell::badge(Tone::Good, "yes"),
            TableCell::text("time between the two"),
            TableCell::text(&elapsed.why),
        ]);
    }
    Section::new("Recipe")
        .intro("What becomes of every column, decided from the training rows alone.")
        .block(table.render())
        .block(note(&format!("Target `{}`: {}", recipe.target.name, recipe.target.why)))
}
