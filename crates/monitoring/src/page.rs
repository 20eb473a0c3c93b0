//! The findings as a page (`report.html`).

use gristmill_report::{
    Align, Bars, HorizontalBars, Markup, Page, Section, Table, TableCell, Tone, banner, count, definitions, note,
    percent, significant,
};
use gristmill_stats::drift::{ColumnDrift, DriftReport, DriftVerdict};
use gristmill_stats::schema::Severity;

use crate::convert::verdict;
use crate::monitor::{Findings, State};
use crate::scores::Scores;

/// Columns whose shares are drawn.
const DRAWN: usize = 8;
/// Reasons shown in the banner.
const REASONS: usize = 8;

/// The page that shows `findings`.
pub fn page(findings: &Findings) -> Page {
    let inputs = &findings.inputs;
    let judged = inputs.columns.iter().filter(|c| matches!(c.verdict, DriftVerdict::Stable | DriftVerdict::Drifted));
    let page = Page::new(format!("Live rows of {}", named(&findings.model.target)))
        .kicker("Monitoring")
        .badge(tone(findings.state), words(findings.state))
        .lead("Live rows against the rows that the model was trained on.")
        .fact("Live rows", count(findings.rows))
        .fact("Training rows", count(inputs.reference_rows))
        .fact("Inputs judged", judged.count().to_string())
        .fact("Drifted", inputs.drifted().len().to_string())
        .fact("Quality anomalies", findings.quality.anomalies.len().to_string())
        .fact("Model", findings.model.digest.short())
        .top(verdict_banner(findings));
    let page = match &findings.scores {
        Some(scores) => page.section(score_section(scores)),
        None => page,
    };
    page.section(input_section(inputs))
        .section(quality_section(findings))
        .section(method_section(findings))
        .footer("Made by Gristmill. This file is complete: it loads nothing and runs nothing.")
}

fn named(target: &str) -> &str {
    if target.is_empty() { "the model" } else { target }
}

const fn tone(state: State) -> Tone {
    match state {
        State::Ok => Tone::Good,
        State::Warning => Tone::Warning,
        State::Alert => Tone::Bad,
        State::NotEnoughData => Tone::Neutral,
    }
}

const fn words(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Warning => "warning",
        State::Alert => "alert",
        State::NotEnoughData => "not enough data",
    }
}

fn verdict_banner(findings: &Findings) -> Markup {
    let headline = match findings.state {
        State::Ok => "Nothing moved",
        State::Warning => "Something moved: have a look",
        State::Alert => "Something moved that asks for action",
        State::NotEnoughData => "Not enough data for a verdict",
    };
    let mut lines: Vec<String> = findings.reasons.iter().take(REASONS).cloned().collect();
    if findings.reasons.len() > REASONS {
        lines.push(format!("and {} more, below", findings.reasons.len() - REASONS));
    }
    banner(tone(findings.state), headline, &lines)
}

fn verdict_cell(of: DriftVerdict) -> TableCell {
    let tone = match of {
        DriftVerdict::Stable => Tone::Good,
        DriftVerdict::Drifted => Tone::Bad,
        DriftVerdict::Insufficient | DriftVerdict::Excluded => Tone::Neutral,
    };
    TableCell::badge(tone, verdict(of))
}

fn shares(column: &ColumnDrift, title: &str) -> Markup {
    let values = |of: fn(&gristmill_stats::drift::BinShare) -> f64| column.bins.iter().map(of).collect();
    Bars {
        title: title.into(),
        subtitle: format!("PSI {}", significant(column.psi.unwrap_or(f64::NAN), 3)),
        y_label: "Share of rows".into(),
        labels: column.bins.iter().map(|bin| short(&bin.label)).collect(),
        series: vec![("training".into(), values(|bin| bin.reference)), ("live".into(), values(|bin| bin.live))],
        ..Bars::default()
    }
    .render()
}

/// A bin's label with its numbers to four digits.
fn short(label: &str) -> String {
    let word = |word: &str| match word.parse::<f64>() {
        Ok(value) if value.is_finite() => significant(value, 4),
        _ => word.to_owned(),
    };
    label.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn score_section(scores: &Scores) -> Section {
    let source = match scores.source.as_str() {
        "model" => "Live answers are the model's own, computed from the live rows.",
        _ => "Live answers are those that were written when the rows were predicted.",
    };
    let columns = [
        ("Answer", Align::Left),
        ("PSI to training", Align::Right),
        ("PSI to validation", Align::Right),
        ("Threshold", Align::Right),
        ("Verdict", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for score in &scores.columns {
        table.push(vec![
            TableCell::text(&score.training.name),
            TableCell::optional(score.training.psi, 3),
            TableCell::optional(score.validation_psi, 3),
            TableCell::optional(score.training.threshold, 3),
            verdict_cell(score.verdict),
        ]);
    }
    Section::new("Predictions")
        .intro(format!("{source} A model is surer of rows it learned from: answers have drifted only if they are far from those to training and to validation rows."))
        .block(table.render())
        .row(scores.columns.iter().map(|score| shares(&score.training, &score.training.name)))
}

fn input_section(inputs: &DriftReport) -> Section {
    let mut judged: Vec<&ColumnDrift> = inputs.columns.iter().filter(|c| c.threshold.is_some()).collect();
    // Furthest beyond its own threshold first; equal ones in the order of the columns.
    let excess = |column: &ColumnDrift| column.psi.unwrap_or(0.0) / column.threshold.unwrap_or(1.0);
    judged.sort_by(|a, b| excess(b).total_cmp(&excess(a)));
    let tone = |c: &ColumnDrift| if c.verdict == DriftVerdict::Drifted { Tone::Bad } else { Tone::Neutral };
    let bars = HorizontalBars {
        title: "Distance to the training rows, as a share of the threshold".into(),
        subtitle: "1 is the most that windows of the training rows of this length show; beyond it a column has drifted"
            .into(),
        x_label: "PSI / threshold".into(),
        items: judged.iter().take(30).map(|c| (c.name.clone(), excess(c), tone(c))).collect(),
        marks: judged.iter().take(30).map(|_| Some(1.0)).collect(),
    };
    let drawn = judged.iter().filter(|column| column.verdict == DriftVerdict::Drifted).take(DRAWN);
    let drawn: Vec<Markup> = drawn.map(|column| shares(column, &column.name)).collect();
    let section = Section::new("Inputs").intro("Drift of an input informs; it is no alarm of its own.");
    let section = match &inputs.reason {
        Some(reason) => section.block(note(reason)),
        None => section.block(bars.render()),
    };
    let section = if drawn.is_empty() { section } else { section.heading("What moved").row(drawn) };
    section.heading("Every input").block(input_table(inputs))
}

fn input_table(inputs: &DriftReport) -> Markup {
    let columns = [
        ("Input", Align::Left),
        ("Type", Align::Left),
        ("PSI", Align::Right),
        ("Threshold", Align::Right),
        ("Jensen-Shannon", Align::Right),
        ("Missing, training", Align::Right),
        ("Missing, live", Align::Right),
        ("New values", Align::Right),
        ("Verdict", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for column in &inputs.columns {
        let compared = column.psi.is_some();
        let share = |share: f64| if compared { TableCell::percent(share) } else { TableCell::text("–") };
        let cells = vec![
            TableCell::text(&column.name),
            TableCell::code(column.column_type.to_string()),
            TableCell::optional(column.psi, 3),
            TableCell::optional(column.threshold, 3),
            TableCell::optional(column.jensen_shannon, 3),
            share(column.reference_missing),
            share(column.live_missing),
            share(column.new_values),
            verdict_cell(column.verdict),
        ];
        if column.verdict == DriftVerdict::Drifted { table.push_strong(cells) } else { table.push(cells) }
    }
    table.render()
}

fn quality_section(findings: &Findings) -> Section {
    let section = Section::new("Data quality").intro("Live rows against the schema of the training rows.");
    let section = if findings.quality.anomalies.is_empty() {
        section.block(note("No anomaly."))
    } else {
        let mut table = Table::new(&[
            ("Severity", Align::Left),
            ("Column", Align::Left),
            ("Rows", Align::Right),
            ("What", Align::Left),
        ]);
        for anomaly in &findings.quality.anomalies {
            let severity = match anomaly.severity {
                Severity::Error => TableCell::badge(Tone::Bad, "error"),
                Severity::Warning => TableCell::badge(Tone::Warning, "warning"),
            };
            table.push(vec![
                severity,
                TableCell::text(anomaly.column.as_deref().unwrap_or("the table")),
                TableCell::count(anomaly.rows),
                TableCell::text(&anomaly.long),
            ]);
        }
        section.block(table.render())
    };
    if findings.unlike_training.is_empty() {
        return section;
    }
    let columns = [
        ("Input", Align::Left),
        ("Unexpected nulls", Align::Right),
        ("Out of range", Align::Right),
        ("Unknown values", Align::Right),
    ];
    let mut table = Table::new(&columns).caption("Values that training had not seen; the model answers them all");
    for input in &findings.unlike_training {
        table.push(vec![
            TableCell::text(&input.name),
            TableCell::count(input.unexpected_null),
            TableCell::count(input.out_of_range),
            TableCell::count(input.unknown),
        ]);
    }
    section.block(table.render())
}

fn method_section(findings: &Findings) -> Section {
    let inputs = &findings.inputs;
    let excluded = inputs.columns.iter().filter(|column| column.verdict == DriftVerdict::Excluded);
    let mut facts = vec![
        ("Distance".into(), "Population stability index over bins fixed on the training rows, rare categories pooled, missing as a bin of its own; Jensen-Shannon distance beside it.".into()),
        ("Threshold".into(), format!("{} windows of the live rows' length were cut from the training rows in blocks of consecutive units, and each was compared with the rest; the quantile at {} of these distances, and never less than {}, is the threshold.", count(inputs.null_windows), significant(inputs.level, 6), inputs.options.least_psi)),
        ("False alarms".into(), format!("A window without drift has any drifted input with a chance of about {}.", percent(inputs.options.false_alarm))),
        ("Units".into(), format!("{} in training, {} live", count(inputs.reference_units), count(inputs.live_units))),
        ("Seed".into(), inputs.options.seed.to_string()),
        ("Model file".into(), findings.model.digest.to_string()),
    ];
    for column in excluded {
        facts.push((format!("Not compared: {}", column.name), column.reason.clone().unwrap_or_default()));
    }
    Section::new("How this was judged").block(definitions(&facts))
}
