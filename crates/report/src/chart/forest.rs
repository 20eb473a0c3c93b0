//! Estimates with intervals below each other, beside a reference line.

use maud::{Markup, html};

use super::axis::{Frame, Scale, at, extent};
use super::bars::clip;
use super::figure::{figure, svg};
use crate::number::significant;

/// One estimate.
#[derive(Debug, Clone, Default)]
pub struct ForestRow {
    /// Name.
    pub label: String,
    /// Estimate.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// A few words at the right, such as the number of units.
    pub note: String,
}

/// A forest plot.
#[derive(Debug, Clone, Default)]
pub struct Forest {
    /// Caption.
    pub title: String,
    /// A line below the caption.
    pub subtitle: String,
    /// Name and unit of the axis.
    pub x_label: String,
    /// The reference line, such as no difference.
    pub reference: Option<f64>,
    /// The estimates, from the top.
    pub rows: Vec<ForestRow>,
}

impl Forest {
    /// The block.
    pub fn render(&self) -> Markup {
        let values = self.rows.iter().flat_map(|row| [row.value, row.low, row.high]);
        // A reference without estimates is nothing to draw.
        let drawing = extent(values).map(|(low, high)| {
            let reference = self.reference.filter(|r| r.is_finite()).unwrap_or(low);
            self.draw((low.min(reference), high.max(reference)))
        });
        figure(&self.title, &self.subtitle, true, drawing)
    }

    fn draw(&self, range: (f64, f64)) -> Markup {
        let row = 28.0;
        let names: Vec<String> = self.rows.iter().map(|row| clip(&row.label, 30)).collect();
        let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or(1);
        let notes = self.rows.iter().map(|row| row.note.chars().count()).max().unwrap_or(0);
        let mut frame = Frame::new(720.0, 0.0, widest);
        (frame.top, frame.right) = (6.0, 20.0 + 7.0 * notes.min(24) as f64);
        frame.height = frame.top + frame.bottom + row * self.rows.len() as f64;
        let x = frame.x(Scale::rounded(range, 6));
        let label = format!("{}: {} estimates of {} with intervals", self.title, self.rows.len(), self.x_label);
        svg(
            frame.width,
            frame.height,
            &label,
            html! {
                (frame.bottom_axis(&x, &x.ticks(6), &self.x_label))
                @if let Some(reference) = self.reference.filter(|r| r.is_finite()) {
                    @let place = at(x.place(reference));
                    line.axis x1=(place) x2=(place) y1=(at(frame.top)) y2=(at(frame.height - frame.bottom)) { title { "reference " (significant(reference, 4)) } }
                }
                @for (place, (item, name)) in self.rows.iter().zip(&names).enumerate() {
                    @let middle = frame.top + row * (place as f64 + 0.5);
                    g {
                        title { (item.label) ": " (significant(item.value, 4)) " (" (significant(item.low, 4)) " to " (significant(item.high, 4)) ")" }
                        text.label x=(at(frame.left - 8.0)) y=(at(middle + 4.0)) text-anchor="end" { (name) }
                        @if item.low.is_finite() && item.high.is_finite() { (interval(&x, item, middle)) }
                        @if item.value.is_finite() {
                            rect class="f1" x=(at(x.place(item.value) - 4.0)) y=(at(middle - 4.0)) width="8" height="8" {}
                        }
                        text x=(at(frame.width - frame.right + 10.0)) y=(at(middle + 4.0)) { (clip(&item.note, 24)) }
                    }
                }
            },
        )
    }
}

fn interval(x: &Scale, item: &ForestRow, middle: f64) -> Markup {
    let (low, high) = (x.place(item.low), x.place(item.high));
    html! {
        line.series.c1 x1=(at(low)) x2=(at(high)) y1=(at(middle)) y2=(at(middle)) {}
        line.series.c1 x1=(at(low)) x2=(at(low)) y1=(at(middle - 5.0)) y2=(at(middle + 5.0)) {}
        line.series.c1 x1=(at(high)) x2=(at(high)) y1=(at(middle - 5.0)) y2=(at(middle + 5.0)) {}
    }
}
