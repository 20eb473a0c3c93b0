//! The data: sources, joins, profile, anomalies.

use gristmill_report::{
    Align, Section, Table, TableCell, Tone, count, definitions, details, list, note, percent, significant,
};
use gristmill_stats::profile::{ColumnProfile, Correlation, Profile, Scalar};

use super::{AnomalyFact, Documents, filled};

/// Columns of the profile that are shown.
const COLUMNS: usize = 200;
/// Pairs of the strongest correlations that are shown.
const PAIRS: usize = 10;

pub(super) fn sections(documents: &Documents) -> Vec<Section> {
    let mut sections = Vec::new();
    sections.extend(documents.dataset.as_ref().map(sources));
    sections.extend(documents.profile.as_ref().map(profile));
    sections.extend(anomalies(&documents.anomalies));
    sections
}

fn sources(report: &gristmill_frame::Report) -> Section {
    let mut table = Table::new(&[
        ("Source", Align::Left),
        ("Rows", Align::Right),
        ("Columns", Align::Right),
        ("Left out", Align::Left),
    ]);
    for source in &report.sources {
        let left_out: Vec<String> = source.left_out.iter().map(|(name, kind)| format!("{name} ({kind})")).collect();
        table.push(vec![
            TableCell::text(&source.name),
            TableCell::count(source.rows),
            TableCell::count(source.columns.len() as u64),
            TableCell::text(if left_out.is_empty() { "–".into() } else { left_out.join(", ") }),
        ]);
    }
    let mut section = Section::new("Sources").block(table.render());
    if !report.joins.is_empty() {
        section = section.heading("How they were joined").block(joins(report));
    }
    let mut facts = vec![("Rows before the population filter".to_owned(), count(report.population_rows))];
    if let Some(filter) = &report.filter {
        facts.push(("Population".into(), filter.clone()));
        facts.push(("Rows excluded by it".into(), count(report.filtered_rows)));
    }
    if let Some(known_at) = &report.known_at {
        facts.push(("Moment of prediction".into(), known_at.clone()));
    }
    let after: Vec<&str> = report.columns.iter().filter(|c| c.known_after).map(|c| c.name.as_str()).collect();
    if !after.is_empty() {
        facts.push(("Only known afterwards, never features".into(), after.join(", ")));
    }
    if report.repeated_keys > 0 {
        facts.push(("Rows that repeat a key".into(), count(report.repeated_keys)));
    }
    section = section.block(definitions(&facts));
    if report.warnings.is_empty() { section } else { section.block(list(&report.warnings)) }
}

fn joins(report: &gristmill_frame::Report) -> gristmill_report::Markup {
    let mut table = Table::new(&[
        ("With", Align::Left),
        ("How", Align::Left),
        ("Rows in", Align::Right),
        ("Matched", Align::Right),
        ("Not matched", Align::Right),
        ("Not in time", Align::Right),
        ("Matched several", Align::Right),
        ("Rows out", Align::Right),
    ]);
    for join in &report.joins {
        let share = if join.rows_in == 0 { 0.0 } else { join.matched as f64 / join.rows_in as f64 };
        table.push(vec![
            TableCell::text(&join.source),
            TableCell::text(join.kind.replace('_', " ")),
            TableCell::count(join.rows_in),
            TableCell::bar(share, 1.0, &percent(share)),
            TableCell::count(join.unmatched),
            TableCell::count(join.not_in_time),
            TableCell::count(join.multiplied),
            TableCell::count(join.rows_out),
        ]);
    }
    table.render()
}

fn profile(profile: &Profile) -> Section {
    let mut table = Table::new(&[
        ("Column", Align::Left),
        ("Type", Align::Left),
        ("Missing", Align::Right),
        ("Distinct", Align::Right),
        ("Min", Align::Right),
        ("Mean", Align::Right),
        ("Max", Align::Right),
        ("Values", Align::Left),
        ("To look at", Align::Left),
    ]);
    for column in profile.columns.iter().take(COLUMNS) {
        table.push(column_row(column));
    }
    let intro = format!(
        "{} rows, {} columns. The profile looks at everything; nothing it says reaches the model.",
        count(profile.rows),
        profile.columns.len()
    );
    let mut section = Section::new("Profile").intro(intro).block(table.render());
    if profile.columns.len() > COLUMNS {
        section = section.block(note(&format!("{} more columns are not shown.", profile.columns.len() - COLUMNS)));
    }
    match profile.correlation.as_ref().map(strongest) {
        Some(pairs) if !pairs.is_empty() => {
            section.block(details("Strongest correlations, the target left out", false, pairs_table(&pairs)))
        }
        _ => section,
    }
}

fn column_row(column: &ColumnProfile) -> Vec<TableCell> {
    let warnings: Vec<&str> = column.warnings.iter().map(|warning| warning.text()).collect();
    vec![
        TableCell::text(&column.name),
        TableCell::code(column.column_type.to_string()),
        TableCell::percent(column.missing_share()),
        TableCell::count(column.distinct),
        TableCell::text(extreme(column.min.as_ref())),
        TableCell::optional(column.mean, 4),
        TableCell::text(extreme(column.max.as_ref())),
        values(column),
        TableCell::text(warnings.join(", ")),
    ]
}

fn extreme(value: Option<&Scalar>) -> String {
    match value {
        None => "–".into(),
        Some(Scalar::Text(text)) => text.chars().take(16).collect::<String>().replace('T', " "),
        Some(Scalar::Bool(value)) => value.to_string(),
        Some(value) => value.as_f64().map_or_else(|| "–".into(), |value| significant(value, 5)),
    }
}

/// A histogram, or the most frequent values.
fn values(column: &ColumnProfile) -> TableCell {
    if let Some(histogram) = column.histogram.as_ref().filter(|_| column.distinct > 2) {
        return TableCell::sparkline(&histogram.counts);
    }
    let share = |count: u64| if column.count == 0 { 0.0 } else { count as f64 / column.count as f64 };
    let top = column.top.iter().take(3).map(|top| {
        let value: String = top.value.to_string().chars().take(24).collect();
        format!("{value} {}", percent(share(top.count)))
    });
    TableCell::text(top.collect::<Vec<_>>().join(", "))
}

/// Pairs by falling strength, ties in the order of the columns.
fn strongest(correlation: &Correlation) -> Vec<(&str, &str, f64)> {
    let mut pairs = Vec::new();
    for (row, (a, values)) in correlation.columns.iter().zip(&correlation.values).enumerate() {
        for (b, value) in correlation.columns.iter().zip(values).take(row) {
            if let Some(value) = value.filter(|value| value.abs() >= 0.3) {
                pairs.push((b.as_str(), a.as_str(), value));
            }
        }
    }
    pairs.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
    pairs.truncate(PAIRS);
    pairs
}

fn pairs_table(pairs: &[(&str, &str, f64)]) -> gristmill_report::Markup {
    let mut table =
        Table::new(&[("Column", Align::Left), ("Column", Align::Left), ("Pearson correlation", Align::Right)]);
    for (a, b, value) in pairs {
        table.push(vec![TableCell::text(a), TableCell::text(b), TableCell::decimal(*value, 3)]);
    }
    table.render()
}

fn anomalies(anomalies: &[AnomalyFact]) -> Option<Section> {
    let mut table = Table::new(&[("Severity", Align::Left), ("Column", Align::Left), ("What", Align::Left)]);
    for anomaly in anomalies {
        let (tone, word) = if anomaly.error { (Tone::Bad, "error") } else { (Tone::Warning, "warning") };
        let column = if anomaly.column.is_empty() { "the table" } else { &anomaly.column };
        table.push(vec![TableCell::badge(tone, word), TableCell::text(column), TableCell::text(&anomaly.message)]);
    }
    filled(Section::new("Anomalies").intro("The data against its schema.").block(table.render()), anomalies.len())
}
