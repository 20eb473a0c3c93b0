//! The report: verdict first, then figures, curves, rows and the model's card.

mod charts;

use gristmill_report::{
    Align, Markup, Page, Section, Table, TableCell, Tone, banner, count, definitions, details, list, note, percent,
    significant,
};
use gristmill_stats::gate::{Basis, Finding, Outcome, State};
use gristmill_stats::interval::{Estimate, Interval};

use crate::document::{Evaluation, ModelFacts, VerdictFile};

/// Digits of a figure.
const DIGITS: usize = 4;

/// The report of an evaluation.
pub fn page(evaluation: &Evaluation, verdict: &VerdictFile) -> Page {
    let model = &evaluation.model;
    let (tone, word) = verdict_words(verdict.state);
    let mut page = Page::new(format!("{} of {}", model.learner_name(), model.target))
        .kicker("Model evaluation")
        .badge(tone, word)
        .lead("Measured on test rows that neither the model nor the champion was fitted on.")
        .fact("Task", model.task.as_str())
        .fact("Rows", count(evaluation.rows.measured))
        .fact("Units", format!("{} ({})", count(evaluation.rows.units), evaluation.rows.unit))
        .fact("Test splits opened for this name", count(evaluation.test_opened.into()))
        .top(banner(tone, headline(verdict.state), &verdict.reasons))
        .section(metrics(evaluation))
        .section(rules(verdict));
    if let Some(section) = comparison(evaluation) {
        page = page.section(section);
    }
    page.section(charts::section(evaluation))
        .section(rows(evaluation))
        .section(card(evaluation))
        .footer("Gristmill. Same inputs, same bytes.")
        .clone()
}

impl ModelFacts {
    fn learner_name(&self) -> String {
        if self.learner.is_empty() { "Model".into() } else { self.learner.replace('_', " ") }
    }
}

const fn verdict_words(state: State) -> (Tone, &'static str) {
    match state {
        State::Passed => (Tone::Good, "passed"),
        State::Refused => (Tone::Bad, "refused"),
        State::NotEnoughData => (Tone::Warning, "not enough data"),
        State::NotComparable => (Tone::Warning, "not comparable"),
    }
}

const fn headline(state: State) -> &'static str {
    match state {
        State::Passed => "The gate passed: this model may be deployed.",
        State::Refused => "The gate refused this model.",
        State::NotEnoughData => "There is not enough data for a verdict: the champion stays.",
        State::NotComparable => "The model cannot be compared with the champion: the champion stays.",
    }
}

fn interval(interval: Option<Interval>) -> TableCell {
    TableCell::text(interval.map_or_else(
        || "–".to_owned(),
        |interval| format!("{} to {}", significant(interval.low, DIGITS), significant(interval.high, DIGITS)),
    ))
}

fn metrics(evaluation: &Evaluation) -> Section {
    let estimates = &evaluation.estimates;
    let level = percent(estimates.resampling.confidence);
    let mut table = Table::new(&[
        ("Metric", Align::Left),
        ("Value", Align::Right),
        (&format!("{level} interval"), Align::Right),
        ("Standard error", Align::Right),
        ("Design effect", Align::Right),
    ])
    .caption(format!("{} resamples of {} units", estimates.resampling.replicates, count(estimates.units)));
    for estimate in &estimates.metrics {
        table.push(vec![
            TableCell::text(words(estimate.metric.name())),
            TableCell::optional(estimate.value, DIGITS),
            interval(estimate.interval),
            TableCell::optional(estimate.standard_error, 2),
            TableCell::optional(estimate.design_effect, 3),
        ]);
    }
    let mut section = Section::new("Metrics").intro(
        "Whole units of dependence are resampled, not rows; the design effect says how many times greater the variance is than rows alone would suggest.",
    );
    section = section.block(table.render());
    let reasons: Vec<String> = estimates.metrics.iter().filter_map(missing).collect();
    if reasons.is_empty() { section } else { section.block(list(&reasons)) }
}

/// Why a metric has no value or no interval, if it says so.
fn missing(estimate: &Estimate) -> Option<String> {
    estimate.reason.as_ref().map(|reason| format!("{}: {reason}.", words(estimate.metric.name())))
}

/// `roc_auc` as `ROC AUC`.
fn words(name: &str) -> String {
    let word = |word: &str| match word {
        "roc" | "auc" | "mcc" | "ece" | "rmse" | "mae" | "r2" | "f1" | "mape" => word.to_uppercase(),
        other => other.to_owned(),
    };
    name.split('_').map(word).collect::<Vec<_>>().join(" ")
}

fn rules(verdict: &VerdictFile) -> Section {
    let mut table = Table::new(&[
        ("Rule", Align::Left),
        ("Outcome", Align::Left),
        ("Value", Align::Right),
        ("Interval", Align::Right),
        ("Judged by", Align::Left),
        ("Reason", Align::Left),
    ]);
    for finding in &verdict.findings {
        table.push(vec![
            TableCell::text(rule(finding)),
            outcome(finding.outcome),
            TableCell::optional(finding.value, DIGITS),
            interval(finding.interval),
            TableCell::text(if finding.basis == Basis::Interval { "interval" } else { "value" }),
            TableCell::text(&finding.reason),
        ]);
    }
    let origin = if verdict.default_rules {
        "No rules were given, so the default ones of the task are in force."
    } else {
        "The rules as they were given."
    };
    Section::new("Gate").intro(origin).block(table.render())
}

fn rule(finding: &Finding) -> String {
    let metric = words(finding.metric.name());
    let limit = finding.limit.map_or(String::new(), |limit| limit.to_string());
    match finding.bound.as_str() {
        "min" => format!("{metric} at least {limit}"),
        "max" => format!("{metric} at most {limit}"),
        "better_than_constant" => format!("{metric} better than a constant by more than {limit}"),
        "non_inferiority_margin" => format!("{metric} worse than the champion by at most {limit}"),
        "improvement" => format!("{metric} better than the champion by more than {limit}"),
        "suspicious_improvement" => format!("{metric} better than the champion by at most {limit}"),
        _ => format!("{metric} is shown"),
    }
}

fn outcome(outcome: Outcome) -> TableCell {
    match outcome {
        Outcome::Passed => TableCell::badge(Tone::Good, "passed"),
        Outcome::Refused => TableCell::badge(Tone::Bad, "refused"),
        Outcome::Skipped => TableCell::badge(Tone::Neutral, "skipped"),
        Outcome::NotEnoughData => TableCell::badge(Tone::Warning, "not enough data"),
        Outcome::NotComparable => TableCell::badge(Tone::Warning, "not comparable"),
        Outcome::Shown => TableCell::badge(Tone::Neutral, "shown"),
    }
}

fn comparison(evaluation: &Evaluation) -> Option<Section> {
    let champion = evaluation.champion.as_ref()?;
    let name = champion.version.map_or_else(|| champion.learner_name(), |version| format!("version {version}"));
    let section = Section::new("Against the champion");
    if let Some(reason) = &evaluation.not_comparable {
        return Some(section.block(note(&format!("The champion ({name}) cannot be compared: {reason}."))));
    }
    let mut table = Table::new(&[
        ("Metric", Align::Left),
        ("Model", Align::Right),
        ("Champion", Align::Right),
        ("Difference", Align::Right),
        ("Interval of the difference", Align::Right),
        ("", Align::Left),
    ]);
    for comparison in &evaluation.comparison {
        let verdict = comparison.gain_interval.map(|gain| match (gain.low > 0.0, gain.high < 0.0) {
            (true, _) => TableCell::badge(Tone::Good, "better"),
            (_, true) => TableCell::badge(Tone::Bad, "worse"),
            _ => TableCell::badge(Tone::Neutral, "no clear difference"),
        });
        table.push(vec![
            TableCell::text(words(comparison.metric.name())),
            TableCell::number(comparison.candidate, DIGITS),
            TableCell::number(comparison.champion, DIGITS),
            TableCell::number(comparison.difference, 3),
            interval(comparison.difference_interval),
            verdict.unwrap_or_else(|| TableCell::text("–")),
        ]);
    }
    let intro = format!(
        "Both models scored the same {} raw rows, each through its own transform; the champion is {name}. Resamples are shared, so what is hard for both cancels.",
        count(evaluation.rows.measured)
    );
    Some(section.intro(intro).block(table.render()))
}

fn rows(evaluation: &Evaluation) -> Section {
    let rows = &evaluation.rows;
    let mut facts = vec![
        ("Rows of the test split".to_owned(), count(rows.in_test)),
        ("Left out: no target".into(), count(rows.without_target)),
        ("Left out: in the model's training or validation data".into(), count(rows.seen_by_model)),
    ];
    if evaluation.champion.is_some() {
        facts.push(("In the champion's training or validation data".into(), count(rows.seen_by_champion)));
    }
    facts.push(("Measured on".into(), count(rows.measured)));
    facts.push(("Units of dependence".into(), format!("{} ({})", count(rows.units), rows.unit)));
    facts.push(("Test split".into(), rows.test.digest.short()));
    Section::new("Rows").block(definitions(&facts)).block(note(
        "Every look at a test split makes it a little less of a test: the header says how often one was opened for this model name.",
    ))
}

fn card(evaluation: &Evaluation) -> Section {
    let model = &evaluation.model;
    let mut facts = vec![
        ("Model".to_owned(), model.artifact.digest.short()),
        ("Learner".into(), model.learner_name()),
        ("Predicts".into(), model.target.clone()),
        ("Task".into(), model.task.to_string()),
    ];
    if !model.labels.is_empty() {
        facts.push(("Labels".into(), model.labels.join(", ")));
    }
    if let (Some(threshold), Some(positive)) = (model.threshold, model.labels.get(1)) {
        facts.push(("Positive class".into(), positive.clone()));
        facts.push(("Threshold, frozen before the test".into(), significant(threshold, DIGITS)));
    }
    facts.push(("Calibration".into(), model.calibration.clone()));
    facts.push(("Inputs".into(), model.inputs.len().to_string()));
    let parameters: Vec<(String, String)> = model.parameters.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let folded = |title: &str, block: Markup| details(title, false, block);
    let mut section = Section::new("Model card").block(definitions(&facts));
    if !parameters.is_empty() {
        section = section.block(folded("Parameters", definitions(&parameters)));
    }
    section.block(folded("Input columns", list(&model.inputs)))
}
