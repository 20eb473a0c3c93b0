//! Curves as charts.

use gristmill_report::{Align, Bars, Lines, Markup, Scatter, Section, Series, Table, TableCell, count};
use gristmill_stats::curve::CurvePoint;
use gristmill_stats::metric::Task;

use crate::document::Evaluation;

/// Labels of a confusion matrix that fit a page.
const MATRIX: usize = 20;

/// The charts of the task.
pub(super) fn section(evaluation: &Evaluation) -> Section {
    let curves = &evaluation.curves;
    let section = Section::new("Curves");
    match evaluation.model.task {
        Task::Binary => {
            let section = section.row([roc(evaluation), precision_recall(evaluation)]);
            section.row([calibration(evaluation), scores(evaluation)]).block(confusion(evaluation))
        }
        Task::Multiclass => section.block(confusion(evaluation)),
        Task::Regression => section.block(
            Scatter {
                title: "Residuals".into(),
                subtitle: "Median of truth minus prediction in groups of similar prediction, with the middle 80 %"
                    .into(),
                x_label: "Prediction".into(),
                y_label: "Truth minus prediction".into(),
                points: curves.residuals.iter().map(|bin| (bin.predicted, bin.median)).collect(),
                intervals: curves.residuals.iter().map(|bin| (bin.low, bin.high)).collect(),
                guide: Some(0.0),
            }
            .render(),
        ),
    }
}

fn series(name: &str, points: &[CurvePoint]) -> Series {
    Series { name: name.into(), points: points.iter().map(|point| (point.x, point.y)).collect(), ..Series::default() }
}

fn roc(evaluation: &Evaluation) -> Markup {
    let curves = &evaluation.curves;
    let mut all = vec![series("model", &curves.roc)];
    if !curves.champion_roc.is_empty() {
        all.push(series("champion", &curves.champion_roc));
    }
    Lines::roc("ROC curve", all).render()
}

fn precision_recall(evaluation: &Evaluation) -> Markup {
    Lines::precision_recall("Precision and recall", vec![series("model", &evaluation.curves.precision_recall)]).render()
}

fn calibration(evaluation: &Evaluation) -> Markup {
    let points = evaluation.curves.calibration.iter().map(|bin| (bin.score, bin.positives)).collect();
    let series = Series { name: "model".into(), points, markers: true, ..Series::default() };
    Lines::calibration("Calibration, groups of equal size", vec![series]).render()
}

fn scores(evaluation: &Evaluation) -> Markup {
    let bins = &evaluation.curves.scores;
    let edges = (0..=bins.len()).map(|edge| edge as f64 / bins.len().max(1) as f64).collect();
    let label = |class: usize| evaluation.model.labels.get(class).map_or("", String::as_str);
    let (negative, positive) = (label(0).to_owned(), label(1).to_owned());
    Bars {
        title: "Scores by true class".into(),
        x_label: format!("Probability of {positive}"),
        y_label: "Rows".into(),
        edges,
        series: vec![
            (negative, bins.iter().map(|bin| bin.negative).collect()),
            (positive, bins.iter().map(|bin| bin.positive).collect()),
        ],
        ..Bars::default()
    }
    .render()
}

/// The confusion matrix as a table; that of many classes keeps the first ones.
fn confusion(evaluation: &Evaluation) -> Markup {
    let Some(matrix) = &evaluation.curves.confusion else { return Table::new(&[]).render() };
    let labels: Vec<&String> = evaluation.model.labels.iter().take(MATRIX).collect();
    let heads: Vec<String> = labels.iter().map(|label| format!("predicted {label}")).collect();
    let mut columns = vec![("", Align::Left)];
    columns.extend(heads.iter().map(|head| (head.as_str(), Align::Right)));
    let at = evaluation.model.threshold.map_or(String::new(), |threshold| format!(" at threshold {threshold:.4}"));
    let mut table = Table::new(&columns).caption(format!("Rows by true and predicted class{at}"));
    for (truth, label) in labels.iter().enumerate() {
        let mut cells = vec![TableCell::text(format!("true {label}"))];
        // Unweighted rows count whole.
        cells.extend((0..labels.len()).map(|predicted| TableCell::text(count(matrix.cell(truth, predicted) as u64))));
        table.push(cells);
    }
    table.render()
}
