//! The leaderboard: every trial, and what the best one relies on.

use gristmill_learn::{Outcome, TrialReport};
use gristmill_report::{Align, HorizontalBars, Lines, Markup, Section, Series, Table, TableCell, Tone, note};
use gristmill_training::{Board, ModelSummary};

/// Trials that are listed.
const TRIALS: usize = 50;
/// Features whose importance is drawn.
const FEATURES: usize = 15;
/// Metrics beside the objective that have a column.
const METRICS: usize = 4;

/// `roc_auc` as `ROC AUC`, `gradient_boosting` as `gradient boosting`.
pub(super) fn words(name: &str) -> String {
    let word = |word: &str| match word {
        "roc" | "auc" | "mcc" | "ece" | "rmse" | "mae" | "r2" | "f1" | "mape" => word.to_uppercase(),
        other => other.to_owned(),
    };
    name.split('_').map(word).collect::<Vec<_>>().join(" ")
}

pub(super) fn section(board: &Board, model: Option<&ModelSummary>) -> Section {
    let intro = format!(
        "{} of {} trials, ranked by {} on validation (lower is better); {}.",
        board.done,
        board.trials,
        words(&board.objective),
        if board.stopped_by == "time" { "stopped by the time budget" } else { "all were done" }
    );
    let mut section = Section::new("Leaderboard").intro(intro).block(trials(board)).block(note(&board.note));
    if let Some(progress) = progress(board) {
        section = section.block(progress);
    }
    match model.map(|model| &model.importance).filter(|importance| !importance.is_empty()) {
        Some(importance) => {
            let items = importance.iter().take(FEATURES);
            let bars = HorizontalBars {
                title: "What the model relies on".into(),
                subtitle: "Share of the gain (trees) or of the standardised coefficients (linear models); it says nothing about cause".into(),
                x_label: "Share".into(),
                items: items.map(|item| (item.feature.clone(), item.share, Tone::Neutral)).collect(),
                marks: Vec::new(),
            };
            section.block(bars.render())
        }
        None => section,
    }
}

fn trials(board: &Board) -> Markup {
    let names = metric_names(board);
    let titles: Vec<String> = names.iter().map(|name| words(name)).collect();
    let objective = words(&board.objective);
    let mut columns = vec![("#", Align::Right), ("Learner", Align::Left), (objective.as_str(), Align::Right)];
    columns.extend(titles.iter().map(|title| (title.as_str(), Align::Right)));
    columns.extend([("Rounds", Align::Right), ("Trial", Align::Right), ("Parameters", Align::Left)]);
    let mut table = Table::new(&columns);
    for (place, report) in board.leaderboard.iter().take(TRIALS).enumerate() {
        let cells = row(place, report, &names);
        if place == 0 { table.push_strong(cells) } else { table.push(cells) }
    }
    table.render()
}

/// Metrics that trials have beside the objective, in the order of their names.
fn metric_names(board: &Board) -> Vec<String> {
    let first = board.leaderboard.iter().find_map(|report| match &report.outcome {
        Outcome::Succeeded { metrics, .. } => Some(metrics),
        Outcome::Failed { .. } => None,
    });
    let preferred = ["roc_auc", "average_precision", "brier", "accuracy", "macro_f1", "mae", "r2"];
    let has = |name: &&str| first.is_some_and(|metrics| metrics.contains_key(*name) && *name != board.objective);
    preferred.into_iter().filter(has).take(METRICS).map(str::to_owned).collect()
}

fn row(place: usize, report: &TrialReport, names: &[String]) -> Vec<TableCell> {
    let parameters: Vec<String> = report.params.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let learner = TableCell::text(words(&report.learner.to_string()));
    let mut cells = Vec::new();
    match &report.outcome {
        Outcome::Succeeded { loss, metrics, rounds, .. } => {
            cells.extend([TableCell::count(place as u64 + 1), learner, TableCell::decimal(*loss, 5)]);
            cells
                .extend(names.iter().map(|name| TableCell::decimal(metrics.get(name).copied().unwrap_or(f64::NAN), 4)));
            cells.push(rounds.map_or_else(|| TableCell::text("–"), |rounds| TableCell::count(rounds.into())));
            cells.extend([TableCell::count(report.number.into()), TableCell::code(parameters.join(" "))]);
        }
        Outcome::Failed { reason } => {
            cells.extend([TableCell::text("–"), learner, TableCell::badge(Tone::Bad, "failed")]);
            cells.extend(names.iter().map(|_| TableCell::text("–")));
            cells.extend([TableCell::text("–"), TableCell::count(report.number.into()), TableCell::text(reason)]);
        }
    }
    cells
}

/// The best objective after each trial.
fn progress(board: &Board) -> Option<Markup> {
    let mut losses: Vec<(u32, f64)> =
        board.leaderboard.iter().filter_map(|report| Some((report.number, report.loss()?))).collect();
    losses.sort_by_key(|(number, _)| *number);
    let all = losses.len();
    let mut sorted: Vec<f64> = losses.iter().map(|(_, loss)| *loss).collect();
    sorted.sort_by(f64::total_cmp);
    // One hopeless trial would flatten all others.
    if let (Some(best), Some(median)) = (sorted.first(), sorted.get(sorted.len() / 2)) {
        let most = best + 4.0 * (median - best).max(best.abs() * 0.01);
        losses.retain(|(_, loss)| *loss <= most);
    }
    if losses.len() < 3 {
        return None;
    }
    let left = all - losses.len();
    let subtitle =
        if left == 0 { String::new() } else { format!("{left} of {all} trials are far above and not drawn") };
    let each = losses.iter().map(|(number, loss)| (f64::from(*number), *loss)).collect();
    let mut best = f64::INFINITY;
    let so_far = losses.iter().map(|(number, loss)| {
        best = best.min(*loss);
        (f64::from(*number), best)
    });
    let lines = Lines {
        title: "The search".into(),
        subtitle,
        x_label: "Trial".into(),
        y_label: words(&board.objective),
        series: vec![
            Series { name: "best so far".into(), points: so_far.collect(), ..Series::default() },
            Series { name: "each trial".into(), points: each, markers: true, ..Series::default() },
        ],
        ..Lines::default()
    };
    Some(lines.render())
}
