//! Lying bars with their names: importances, top values, drift per column.

use maud::{Markup, html};

use super::axis::{Frame, Scale, at, extent};
use super::bars::clip;
use super::figure::{figure, svg};
use crate::component::Tone;
use crate::number::significant;

/// Named bars below each other.
#[derive(Debug, Clone, Default)]
pub struct HorizontalBars {
    /// Caption.
    pub title: String,
    /// A line below the caption.
    pub subtitle: String,
    /// Name and unit of the lengths.
    pub x_label: String,
    /// Name, length and tone of each bar, from the top.
    pub items: Vec<(String, f64, Tone)>,
    /// A mark on each bar, such as its threshold; empty for none.
    pub marks: Vec<Option<f64>>,
}

impl HorizontalBars {
    /// The block.
    pub fn render(&self) -> Markup {
        let lengths = self.items.iter().map(|item| item.1).chain(self.marks.iter().flatten().copied());
        let drawing = extent(lengths).map(|(low, high)| self.draw(low.min(0.0), high.max(0.0)));
        figure(&self.title, &self.subtitle, true, drawing)
    }

    fn draw(&self, low: f64, high: f64) -> Markup {
        let row = 24.0;
        let names: Vec<String> = self.items.iter().map(|item| clip(&item.0, 30)).collect();
        let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or(1);
        let mut frame = Frame::new(720.0, 0.0, widest);
        (frame.top, frame.right) = (6.0, 64.0);
        frame.height = frame.top + frame.bottom + row * self.items.len() as f64;
        let x = frame.x(Scale::rounded((low, if high > low { high } else { 1.0 }), 5));
        let label = format!("{}: {} bars of {}", self.title, self.items.len(), self.x_label);
        svg(
            frame.width,
            frame.height,
            &label,
            html! {
                (frame.bottom_axis(&x, &x.ticks(5), &self.x_label))
                @for (place, ((full, value, tone), name)) in self.items.iter().zip(&names).enumerate() {
                    @let top = frame.top + row * place as f64;
                    @let (from, to) = if *value < 0.0 { (x.place(*value), x.place(0.0)) } else { (x.place(0.0), x.place(*value)) };
                    g {
                        title { (full) ": " (significant(*value, 4)) }
                        text.label x=(at(frame.left - 8.0)) y=(at(top + 16.0)) text-anchor="end" { (name) }
                        @if value.is_finite() {
                            rect style=(fill(*tone)) x=(at(from)) y=(at(top + 4.0)) width=(at((to - from).max(0.5))) height=(at(row - 8.0)) {}
                            text x=(at(to.max(from) + 6.0)) y=(at(top + 16.0)) { (significant(*value, 3)) }
                        }
                        @if let Some(mark) = self.marks.get(place).copied().flatten().filter(|m| m.is_finite()) {
                            line.whisker x1=(at(x.place(mark))) x2=(at(x.place(mark))) y1=(at(top + 1.0)) y2=(at(top + row - 1.0)) {
                                title { "threshold " (significant(mark, 4)) }
                            }
                        }
                    }
                }
            },
        )
    }
}

const fn fill(tone: Tone) -> &'static str {
    match tone {
        Tone::Neutral => "fill:var(--s1)",
        Tone::Good => "fill:var(--good)",
        Tone::Warning => "fill:var(--warning)",
        Tone::Bad => "fill:var(--bad)",
    }
}
