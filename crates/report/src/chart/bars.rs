//! Upright bars: histograms and shares per category, one or two series.

use maud::{Markup, html};

use super::axis::{Frame, Scale, Ticks, at, extent};
use super::figure::{figure, fill_legend, svg};
use crate::number::significant;

/// A bar chart: the first series filled, the second drawn as outlines over it.
#[derive(Debug, Clone, Default)]
pub struct Bars {
    /// Caption.
    pub title: String,
    /// A line below the caption.
    pub subtitle: String,
    /// Name and unit of the horizontal axis.
    pub x_label: String,
    /// Name and unit of the heights.
    pub y_label: String,
    /// Edges of the bins (one more than bars) for a histogram; empty if `labels` name the bars.
    pub edges: Vec<f64>,
    /// Names of the bars, if they are not bins of numbers.
    pub labels: Vec<String>,
    /// Name and heights of each series.
    pub series: Vec<(String, Vec<f64>)>,
}

impl Bars {
    /// A histogram of `counts` between `edges`.
    pub fn histogram(title: impl Into<String>, x_label: impl Into<String>, edges: &[f64], counts: &[u64]) -> Self {
        let heights = counts.iter().map(|count| *count as f64).collect();
        Self {
            title: title.into(),
            x_label: x_label.into(),
            y_label: "Rows".into(),
            edges: edges.to_vec(),
            series: vec![("rows".into(), heights)],
            ..Self::default()
        }
    }

    fn bars(&self) -> usize {
        self.series.iter().map(|(_, heights)| heights.len()).max().unwrap_or(0)
    }

    fn is_histogram(&self) -> bool {
        self.edges.len() == self.bars() + 1 && self.edges.windows(2).all(|w| matches!(w, [a, b] if a < b))
    }

    fn name(&self, place: usize) -> String {
        match (self.edges.get(place), self.edges.get(place + 1)) {
            (Some(low), Some(high)) if self.is_histogram() => {
                format!("{} to {}", significant(*low, 4), significant(*high, 4))
            }
            _ => self.labels.get(place).cloned().unwrap_or_else(|| (place + 1).to_string()),
        }
    }

    /// The block.
    pub fn render(&self) -> Markup {
        let tallest = extent(self.series.iter().flat_map(|(_, heights)| heights.iter().copied()));
        let drawing = tallest.filter(|_| self.bars() > 0).map(|(_, most)| self.draw(most));
        figure(&self.title, &self.subtitle, false, drawing)
    }

    fn draw(&self, most: f64) -> Markup {
        let (width, height) = (440.0, 270.0);
        let y_range = Scale::rounded((0.0, if most > 0.0 { most } else { 1.0 }), 4);
        let y_ticks = Scale::new(y_range, 0.0, 1.0).ticks(4);
        let mut frame = Frame::new(width, height, y_ticks.widest());
        let tilted = !self.is_histogram() && self.labels.iter().any(|l| l.chars().count() * self.bars() > 60);
        if tilted {
            frame.bottom = 96.0;
        }
        let y = frame.y(y_range);
        let bars = self.bars() as f64;
        let (x, ticks) = match (self.edges.first(), self.edges.last()) {
            (Some(low), Some(high)) if self.is_histogram() => {
                let x = frame.x((*low, *high));
                (x, x.ticks(6))
            }
            _ => (frame.x((0.0, bars)), Ticks::default()),
        };
        let names: Vec<&str> = self.series.iter().map(|(name, _)| name.as_str()).collect();
        let label = format!("{}: {} bars of {} over {}", self.title, self.bars(), self.y_label, self.x_label);
        html! {
            (fill_legend(&names))
            (svg(width, height, &label, html! {
                (frame.axes((&x, &ticks, &self.x_label), (&y, &y_ticks, &self.y_label)))
                @for place in 0..self.bars() { (self.bar(place, &x, &y)) }
                @if !self.is_histogram() { (self.names(&frame, &x, tilted)) }
            }))
        }
    }

    fn span(&self, place: usize, x: &Scale) -> (f64, f64) {
        match (self.edges.get(place), self.edges.get(place + 1)) {
            (Some(low), Some(high)) if self.is_histogram() => (x.place(*low) + 0.5, x.place(*high) - 0.5),
            _ => (x.place(place as f64 + 0.12), x.place(place as f64 + 0.88)),
        }
    }

    fn bar(&self, place: usize, x: &Scale, y: &Scale) -> Markup {
        let (from, to) = self.span(place, x);
        let floor = y.place(0.0);
        let values: Vec<String> = self
            .series
            .iter()
            .map(|(name, heights)| {
                format!("{name} {}", significant(heights.get(place).copied().unwrap_or(f64::NAN), 4))
            })
            .collect();
        html! {
            g {
                title { (self.name(place)) ": " (values.join(", ")) }
                @for (number, (_, heights)) in self.series.iter().enumerate() {
                    @let top = y.place(heights.get(place).copied().filter(|v| v.is_finite()).unwrap_or(0.0));
                    @let tall = (floor - top).max(0.0);
                    @if number == 0 {
                        rect class="f1" x=(at(from)) y=(at(floor - tall)) width=(at((to - from).max(0.5))) height=(at(tall)) {}
                    } @else {
                        rect class={ "c" (super::figure::colour(number)) } fill="none" stroke-width="2" x=(at(from + 2.0)) y=(at(floor - tall))
                            width=(at((to - from - 4.0).max(0.5))) height=(at(tall)) {}
                    }
                }
            }
        }
    }

    fn names(&self, frame: &Frame, x: &Scale, tilted: bool) -> Markup {
        let floor = frame.height - frame.bottom;
        html! {
            @for place in 0..self.bars() {
                @let middle = x.place(place as f64 + 0.5);
                @let name = clip(&self.name(place), if tilted { 16 } else { 24 });
                @if tilted {
                    text x=(at(middle + 4.0)) y=(at(floor + 14.0)) text-anchor="end"
                        transform={ "rotate(-40 " (at(middle + 4.0)) " " (at(floor + 14.0)) ")" } { (name) }
                } @else {
                    text x=(at(middle)) y=(at(floor + 18.0)) text-anchor="middle" { (name) }
                }
            }
        }
    }
}

/// The first `most` characters.
pub(crate) fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}
