//! The model's card, how it is used, and what the run did.

use gristmill_report::{Align, Section, Table, TableCell, Tone, definitions, seconds, significant, steps};
use gristmill_training::ModelSummary;

use super::{Documents, Registered};

pub(super) fn sections(documents: &Documents) -> Vec<Section> {
    let mut sections = Vec::new();
    sections.extend(documents.model.as_ref().map(how_it_was_made));
    sections.extend(documents.registered.as_ref().map(use_it));
    if !documents.steps.is_empty() {
        sections.push(run(documents));
    }
    sections
}

fn how_it_was_made(model: &ModelSummary) -> Section {
    let fitted = if model.refitted {
        format!(
            "on {} rows of training and validation together, with what the search had found",
            gristmill_report::count(model.fitted_rows as u64)
        )
    } else {
        format!("on {} training rows", gristmill_report::count(model.fitted_rows as u64))
    };
    let mut facts = vec![
        (
            "Chosen".to_owned(),
            format!(
                "trial {}, {} {} on validation",
                model.trial,
                model.objective.replace('_', " "),
                significant(model.validation_loss, 5)
            ),
        ),
        ("Fitted".into(), fitted),
        ("Calibration".into(), model.calibration.clone()),
    ];
    if !model.labels.is_empty() {
        facts.push(("Labels".into(), model.labels.join(", ")));
    }
    if model.labels.len() == 2 {
        facts.push((
            "Threshold".into(),
            format!("{}, chosen on validation and frozen before the test", significant(model.threshold, 4)),
        ));
    }
    Section::new("How the model was made").block(definitions(&facts))
}

fn use_it(model: &Registered) -> Section {
    let name = match model.aliases.first() {
        Some(alias) => format!("{}@{alias}", model.name),
        None => format!("{}:{}", model.name, model.version),
    };
    let commands = [
        ("Predict a file".to_owned(), format!("gristmill predict --model {name} --input rows.csv --output scored.csv")),
        ("Serve every champion".into(), "gristmill up".into()),
        (
            "Ask the server".into(),
            format!(
                "curl -s http://127.0.0.1:7780/v1/models/{}:predict -H 'content-type: application/json' -d '{{\"rows\": [{{…}}]}}'",
                model.name
            ),
        ),
        (
            "Compare new rows with the training rows".into(),
            format!("gristmill monitor check --model {name} --input new.csv"),
        ),
        ("Show the version".into(), format!("gristmill models show {name}")),
    ];
    Section::new("Use it").block(steps(&commands))
}

fn run(documents: &Documents) -> Section {
    let mut table = Table::new(&[("Step", Align::Left), ("State", Align::Left), ("Time", Align::Right)]);
    for step in &documents.steps {
        let tone = match step.state.as_str() {
            "succeeded" => Tone::Good,
            "failed" => Tone::Bad,
            _ => Tone::Neutral,
        };
        let time = if step.cached { "reused".to_owned() } else { seconds(step.seconds) };
        table.push(vec![TableCell::text(&step.stage), TableCell::badge(tone, &step.state), TableCell::text(time)]);
    }
    Section::new("The run").block(table.render())
}
