//! Lines over a numeric axis: ROC, precision and recall, calibration, learning curves.

use maud::{Markup, html};

use super::axis::{Frame, Scale, at, extent};
use super::figure::{colour, dash, figure, line_legend, svg};
use crate::number::significant;

/// Points drawn of one series; more are thinned evenly, so that a page stays small.
const POINTS: usize = 400;

/// One line.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Points in drawing order.
    pub points: Vec<(f64, f64)>,
    /// Lower and upper bound at each point; empty for none.
    pub band: Vec<(f64, f64)>,
    /// Whether each point has a mark with a tooltip.
    pub markers: bool,
}

/// A line chart.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    /// Caption.
    pub title: String,
    /// A line below the caption.
    pub subtitle: String,
    /// Name and unit of the horizontal axis.
    pub x_label: String,
    /// Name and unit of the vertical axis.
    pub y_label: String,
    /// Range of the horizontal axis, else that of the data.
    pub x_range: Option<(f64, f64)>,
    /// Range of the vertical axis, else that of the data.
    pub y_range: Option<(f64, f64)>,
    /// Name of the diagonal from (0, 0) to (1, 1), such as `chance` or `perfect`.
    pub diagonal: Option<String>,
    /// As high as wide.
    pub square: bool,
    /// The lines.
    pub series: Vec<Series>,
}

impl Lines {
    /// The ROC curve of points (false positive rate, true positive rate).
    pub fn roc(title: impl Into<String>, series: Vec<Series>) -> Self {
        Self::unit_square(title, "False positive rate", "True positive rate", Some("chance"), series)
    }

    /// Precision over recall of points (recall, precision).
    pub fn precision_recall(title: impl Into<String>, series: Vec<Series>) -> Self {
        Self::unit_square(title, "Recall", "Precision", None, series)
    }

    /// Observed over predicted of points (mean prediction, observed rate).
    pub fn calibration(title: impl Into<String>, series: Vec<Series>) -> Self {
        Self::unit_square(title, "Mean predicted probability", "Observed rate", Some("perfectly calibrated"), series)
    }

    fn unit_square(title: impl Into<String>, x: &str, y: &str, diagonal: Option<&str>, series: Vec<Series>) -> Self {
        Self {
            title: title.into(),
            x_label: x.into(),
            y_label: y.into(),
            x_range: Some((0.0, 1.0)),
            y_range: Some((0.0, 1.0)),
            diagonal: diagonal.map(Into::into),
            square: true,
            series,
            ..Self::default()
        }
    }

    /// The block.
    pub fn render(&self) -> Markup {
        let drawing = self.ranges().map(|(x_range, y_range)| self.draw(x_range, y_range));
        figure(&self.title, &self.subtitle, !self.square, drawing)
    }

    fn ranges(&self) -> Option<((f64, f64), (f64, f64))> {
        let points = || self.series.iter().flat_map(|s| s.points.iter());
        let bands = self.series.iter().flat_map(|s| s.band.iter()).flat_map(|(low, high)| [*low, *high]);
        let x = extent(points().map(|p| p.0))?;
        let y = extent(points().map(|p| p.1).chain(bands))?;
        Some((self.x_range.unwrap_or(x), self.y_range.unwrap_or_else(|| Scale::rounded(y, 5))))
    }

    fn draw(&self, x_range: (f64, f64), y_range: (f64, f64)) -> Markup {
        let (width, height) = if self.square { (440.0, 400.0) } else { (720.0, 300.0) };
        let y_ticks = Scale::new(y_range, 0.0, 1.0).ticks(5);
        let frame = Frame::new(width, height, y_ticks.widest());
        let (x, y) = (frame.x(x_range), frame.y(y_range));
        let x_ticks = x.ticks(if self.square { 5 } else { 8 });
        let names: Vec<&str> = self.series.iter().map(|s| s.name.as_str()).collect();
        let label = format!(
            "{}: line chart of {} over {}; {}",
            self.title,
            self.y_label,
            self.x_label,
            self.series.iter().map(summary).collect::<Vec<_>>().join("; ")
        );
        html! {
            (line_legend(&names, self.diagonal.as_deref()))
            (svg(width, height, &label, html! {
                (frame.axes((&x, &x_ticks, &self.x_label), (&y, &y_ticks, &self.y_label)))
                @if self.diagonal.is_some() {
                    line.guide x1=(at(x.place(0.0))) y1=(at(y.place(0.0))) x2=(at(x.place(1.0))) y2=(at(y.place(1.0))) {}
                }
                @for (place, series) in self.series.iter().enumerate() { (draw_series(place, series, &x, &y)) }
            }))
        }
    }
}

fn summary(series: &Series) -> String {
    match (series.points.first(), series.points.last()) {
        (Some(first), Some(last)) => format!(
            "{}: {} points from ({}, {}) to ({}, {})",
            series.name,
            series.points.len(),
            significant(first.0, 3),
            significant(first.1, 3),
            significant(last.0, 3),
            significant(last.1, 3)
        ),
        _ => format!("{}: no points", series.name),
    }
}

/// Indices kept of `len` points: all, or [`POINTS`] evenly spaced with both ends.
fn kept(len: usize) -> Vec<usize> {
    if len <= POINTS { (0..len).collect() } else { (0..POINTS).map(|n| n * (len - 1) / (POINTS - 1)).collect() }
}

fn draw_series(place: usize, series: &Series, x: &Scale, y: &Scale) -> Markup {
    let kept = kept(series.points.len());
    let points: Vec<(f64, f64)> = kept.iter().filter_map(|n| series.points.get(*n).copied()).collect();
    let band: Vec<(f64, f64, f64)> = if series.band.len() == series.points.len() {
        kept.iter()
            .filter_map(|n| Some((series.points.get(*n)?.0, series.band.get(*n)?.0, series.band.get(*n)?.1)))
            .collect()
    } else {
        Vec::new()
    };
    let finite = |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite();
    let line: Vec<String> =
        points.iter().filter(finite).map(|(px, py)| format!("{},{}", at(x.place(*px)), at(y.place(*py)))).collect();
    html! {
        @if !band.is_empty() { polygon class={ "band f" (colour(place)) } points=(band_points(&band, x, y)) {} }
        polyline class={ "series c" (colour(place)) } stroke-dasharray=(dash(place)) points=(line.join(" ")) {
            title { (series.name) }
        }
        @if series.markers {
            @for (px, py) in points.iter().filter(finite) {
                circle class={ "f" (colour(place)) } cx=(at(x.place(*px))) cy=(at(y.place(*py))) r="3.5" {
                    title { (series.name) ": " (significant(*px, 4)) ", " (significant(*py, 4)) }
                }
            }
        }
    }
}

fn band_points(band: &[(f64, f64, f64)], x: &Scale, y: &Scale) -> String {
    let finite = |b: &&(f64, f64, f64)| b.0.is_finite() && b.1.is_finite() && b.2.is_finite();
    let upper = band.iter().filter(finite).map(|b| (b.0, b.2));
    let lower = band.iter().rev().filter(finite).map(|b| (b.0, b.1));
    upper.chain(lower).map(|(px, py)| format!("{},{}", at(x.place(px)), at(y.place(py)))).collect::<Vec<_>>().join(" ")
}
