//! The report of a run: one page from the sources to how the model is used.

mod data;
mod documents;
mod leaderboard;
mod preparation;
mod usage;

use gristmill_report::{Markup, MetricBar, MetricBars, Page, Section, Tone, banner, count, significant};
use gristmill_stats::gate::State;

pub use documents::Documents;
use documents::{AnomalyFact, Registered};

/// The page. What a run has not come to is left out; the same documents give the same bytes.
pub fn run_report(documents: &Documents) -> String {
    let mut page = Page::new(title(documents)).kicker("Gristmill run").lead(lead(documents));
    if let Some((tone, word)) = verdict_words(documents) {
        page = page.badge(tone, word);
    }
    for (label, value) in facts(documents) {
        page = page.fact(label, value);
    }
    for block in top(documents) {
        page = page.top(block);
    }
    page = page.sections(data::sections(documents)).sections(preparation::sections(documents));
    if let Some(board) = &documents.board {
        page = page.section(leaderboard::section(board, documents.model.as_ref()));
    }
    if let (Some(evaluation), Some(verdict)) = (&documents.evaluation, &documents.verdict) {
        page = page.sections(gristmill_evaluation::page(evaluation, verdict).into_sections());
    }
    page.sections(usage::sections(documents))
        .footer("Made by Gristmill. This file is complete: it loads nothing and runs nothing, so it can be mailed.")
        .render()
}

fn title(documents: &Documents) -> String {
    let target = documents.target();
    match (&documents.registered, target) {
        (Some(model), _) => format!("{}, version {}", model.name, model.version),
        (None, Some(target)) => format!("Predicting {target}"),
        (None, None) => documents.name.clone(),
    }
}

fn lead(documents: &Documents) -> String {
    let target =
        documents.target().map_or_else(|| "a model".to_owned(), |target| format!("a model that predicts `{target}`"));
    let test = documents.evaluation.as_ref().map_or_else(String::new, |evaluation| {
        format!(", measured on {} rows that it never saw", count(evaluation.rows.measured))
    });
    format!("From the sources to {target}{test}.")
}

fn verdict_words(documents: &Documents) -> Option<(Tone, &'static str)> {
    if documents.error.is_some() {
        return Some((Tone::Bad, "failed"));
    }
    Some(match documents.verdict.as_ref()?.state {
        State::Passed => (Tone::Good, "passed"),
        State::Refused => (Tone::Bad, "refused"),
        State::NotEnoughData => (Tone::Warning, "not enough data"),
        State::NotComparable => (Tone::Warning, "not comparable"),
    })
}

fn facts(documents: &Documents) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(model) = &documents.model {
        facts.push(("Task", model.task.to_string()));
        facts.push(("Learner", leaderboard::words(&model.learner)));
    }
    if let Some(profile) = &documents.profile {
        facts.push(("Rows", count(profile.rows)));
        facts.push(("Columns", profile.columns.len().to_string()));
    }
    if let Some(board) = &documents.board {
        facts.push(("Trials", board.done.to_string()));
    }
    if let Some(evaluation) = &documents.evaluation {
        facts.push(("Test rows", count(evaluation.rows.measured)));
    }
    if let Some(model) = &documents.registered {
        let aliases = if model.aliases.is_empty() { "none".into() } else { model.aliases.join(", ") };
        facts.push(("Aliases", aliases));
    }
    facts
}

/// Verdict and the figures that matter most.
fn top(documents: &Documents) -> Vec<Markup> {
    let mut blocks = Vec::new();
    if let Some(error) = &documents.error {
        blocks.push(banner(Tone::Bad, "The run failed", std::slice::from_ref(error)));
    }
    if let (Some(verdict), Some((tone, _))) = (&documents.verdict, verdict_words(documents)) {
        let mut lines = verdict.reasons.clone();
        if lines.is_empty() {
            lines.push(verdict.summary.clone());
        }
        let headline = match verdict.state {
            State::Passed => "The gate passed: this model may be deployed",
            State::Refused => "The gate refused this model",
            State::NotEnoughData => "Not enough data for a verdict: the champion stays",
            State::NotComparable => "Not comparable with the champion: the champion stays",
        };
        blocks.push(banner(tone, headline, &lines));
    }
    if let Some(bars) = headline_metrics(documents) {
        blocks.push(bars);
    }
    blocks
}

/// Metrics that live between 0 and 1, as bars with their intervals.
fn headline_metrics(documents: &Documents) -> Option<Markup> {
    const SHOWN: [&str; 7] = ["roc_auc", "average_precision", "accuracy", "balanced_accuracy", "f1", "macro_f1", "r2"];
    let evaluation = documents.evaluation.as_ref()?;
    let level = evaluation.estimates.resampling.confidence;
    let note = format!("{} % intervals; unit of dependence: {}", significant(level * 100.0, 3), evaluation.rows.unit);
    let shown = evaluation.estimates.metrics.iter().filter(|metric| SHOWN.contains(&metric.metric.name()));
    let items: Vec<MetricBar> = shown
        .filter_map(|metric| {
            let interval = metric.interval.map(|interval| (interval.low, interval.high));
            Some(MetricBar {
                name: leaderboard::words(metric.metric.name()),
                value: metric.value?,
                interval,
                note: String::new(),
            })
        })
        .collect();
    (!items.is_empty()).then(|| {
        let bars = MetricBars::unit(items).render();
        gristmill_report::group([bars, gristmill_report::note(&note)])
    })
}

/// A section, unless it would be empty.
fn filled(section: Section, blocks: usize) -> Option<Section> {
    (blocks > 0).then_some(section)
}
