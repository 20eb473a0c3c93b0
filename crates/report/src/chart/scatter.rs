//! Points, each perhaps with an interval: residuals per bin.

use maud::{Markup, html};

use super::axis::{Frame, Scale, at, extent};
use super::figure::{figure, svg};
use crate::number::significant;

/// A scatter chart.
#[derive(Debug, Clone, Default)]
pub struct Scatter {
    /// Caption.
    pub title: String,
    /// A line below the caption.
    pub subtitle: String,
    /// Name and unit of the horizontal axis.
    pub x_label: String,
    /// Name and unit of the vertical axis.
    pub y_label: String,
    /// Points.
    pub points: Vec<(f64, f64)>,
    /// Lower and upper end of each point's interval; empty for none.
    pub intervals: Vec<(f64, f64)>,
    /// A horizontal guide, such as zero.
    pub guide: Option<f64>,
}

impl Scatter {
    /// The block.
    pub fn render(&self) -> Markup {
        let ends = self.intervals.iter().flat_map(|(low, high)| [*low, *high]).chain(self.guide);
        let y_range = extent(self.points.iter().map(|p| p.1).chain(ends));
        let x_range = extent(self.points.iter().map(|p| p.0));
        let drawing = x_range.zip(y_range).map(|(x_range, y_range)| self.draw(x_range, y_range));
        figure(&self.title, &self.subtitle, true, drawing)
    }

    fn draw(&self, x_range: (f64, f64), y_range: (f64, f64)) -> Markup {
        let y_range = Scale::rounded(y_range, 5);
        let y_ticks = Scale::new(y_range, 0.0, 1.0).ticks(5);
        let frame = Frame::new(720.0, 300.0, y_ticks.widest());
        let (x, y) = (frame.x(Scale::rounded(x_range, 8)), frame.y(y_range));
        let label = format!("{}: {} points of {} over {}", self.title, self.points.len(), self.y_label, self.x_label);
        svg(
            frame.width,
            frame.height,
            &label,
            html! {
                (frame.axes((&x, &x.ticks(8), &self.x_label), (&y, &y_ticks, &self.y_label)))
                @if let Some(guide) = self.guide.filter(|g| g.is_finite()) {
                    line.guide x1=(at(frame.left)) x2=(at(frame.width - frame.right)) y1=(at(y.place(guide))) y2=(at(y.place(guide))) {}
                }
                @for (place, (px, py)) in self.points.iter().enumerate().filter(|(_, p)| p.0.is_finite() && p.1.is_finite()) {
                    @let interval = self.intervals.get(place).filter(|(low, high)| low.is_finite() && high.is_finite());
                    g {
                        title {
                            (significant(*px, 4)) ", " (significant(*py, 4))
                            @if let Some((low, high)) = interval { " (" (significant(*low, 4)) " to " (significant(*high, 4)) ")" }
                        }
                        @if let Some((low, high)) = interval {
                            line.series.c1 x1=(at(x.place(*px))) x2=(at(x.place(*px))) y1=(at(y.place(*low))) y2=(at(y.place(*high))) {}
                        }
                        circle class="f1" cx=(at(x.place(*px))) cy=(at(y.place(*py))) r="3.5" {}
                    }
                }
            },
        )
    }
}
