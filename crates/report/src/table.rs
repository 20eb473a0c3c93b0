//! Tables: numbers to the right in figures of one width.

use maud::{Markup, html};

use crate::component::{Tone, badge};
use crate::number;

/// Which side a column's text stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Align {
    /// Text.
    #[default]
    Left,
    /// Numbers.
    Right,
}

/// One cell.
#[derive(Debug, Clone)]
pub struct TableCell(Markup);

/// A table with a header row.
#[derive(Debug, Clone, Default)]
pub struct Table {
    caption: String,
    columns: Vec<(String, Align)>,
    rows: Vec<(bool, Vec<TableCell>)>,
}

impl TableCell {
    /// Text.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self(html! { (text.as_ref()) })
    }

    /// Text in a fixed-width font: digests, parameters, expressions.
    pub fn code(text: impl AsRef<str>) -> Self {
        Self(html! { code { (text.as_ref()) } })
    }

    /// A whole number.
    pub fn count(value: u64) -> Self {
        Self::text(number::count(value))
    }

    /// A number with `digits` significant digits.
    pub fn number(value: f64, digits: usize) -> Self {
        Self::text(number::significant(value, digits))
    }

    /// A number that may be missing.
    pub fn optional(value: Option<f64>, digits: usize) -> Self {
        Self::number(value.unwrap_or(f64::NAN), digits)
    }

    /// A number with `places` digits after the point, so that a column lines up.
    pub fn decimal(value: f64, places: usize) -> Self {
        Self::text(number::decimal(value, places))
    }

    /// A share as a percentage.
    pub fn percent(share: f64) -> Self {
        Self::text(number::percent(share))
    }

    /// A coloured label.
    pub fn badge(tone: Tone, text: &str) -> Self {
        Self(badge(tone, text))
    }

    /// Any block, such as a small chart.
    pub const fn markup(markup: Markup) -> Self {
        Self(markup)
    }

    /// A small bar for a share of `most`, with its text.
    pub fn bar(value: f64, most: f64, text: &str) -> Self {
        let share = if most > 0.0 && value.is_finite() { (value / most * 60.0).clamp(0.0, 60.0) } else { 0.0 };
        Self(html! {
            span.cellbar {
                svg viewBox="0 0 60 8" aria-hidden="true" { rect.fill x="0" y="0" width=(format!("{share:.1}")) height="8" {} }
                (text)
            }
        })
    }

    /// A small histogram of `counts`.
    pub fn sparkline(counts: &[u64]) -> Self {
        let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
        let width = 80.0 / counts.len().max(1) as f64;
        Self(html! {
            svg.spark viewBox="0 0 80 18" role="img" aria-label={ "histogram of " (counts.len()) " bins" } {
                @for (place, count) in counts.iter().enumerate() {
                    @let height = *count as f64 / most * 18.0;
                    rect.fill x=(format!("{:.1}", place as f64 * width)) y=(format!("{:.1}", 18.0 - height))
                        width=(format!("{:.1}", (width - 0.5).max(0.3))) height=(format!("{height:.1}")) {}
                }
            }
        })
    }
}

impl From<&str> for TableCell {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for TableCell {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl Table {
    /// A table of these columns.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect();
        Self { columns, ..Self::default() }
    }

    /// What the table shows.
    #[must_use]
    pub fn caption(mut self, text: impl Into<String>) -> Self {
        self.caption = text.into();
        self
    }

    /// Adds a row; cells beyond the columns are dropped, missing ones are empty.
    pub fn push(&mut self, cells: Vec<TableCell>) {
        self.rows.push((false, cells));
    }

    /// Adds a row that stands out: the chosen model, the failing rule.
    pub fn push_strong(&mut self, cells: Vec<TableCell>) {
        self.rows.push((true, cells));
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The block.
    pub fn render(&self) -> Markup {
        let class = |align: Align| if align == Align::Right { Some("num") } else { None };
        html! {
            div.scroll {
                table {
                    @if !self.caption.is_empty() { caption { (self.caption) } }
                    thead { tr { @for (name, align) in &self.columns { th scope="col" class=[class(*align)] { (name) } } } }
                    tbody {
                        @for (strong, cells) in &self.rows {
                            tr class=[strong.then_some("strong")] {
                                @for (place, (_, align)) in self.columns.iter().enumerate() {
                                    td class=[class(*align)] { @if let Some(cell) = cells.get(place) { (cell.0) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
