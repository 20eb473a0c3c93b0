//! Small blocks: badges, banners, definition lists, metric bars.

use maud::{Markup, html};

use crate::number::{NONE, significant};

/// What a colour says; the mark says it without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing good or bad.
    #[default]
    Neutral,
    /// Passed.
    Good,
    /// To be looked at.
    Warning,
    /// Failed.
    Bad,
}

impl Tone {
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }

    const fn mark(self) -> &'static str {
        match self {
            Self::Neutral => "•",
            Self::Good => "✓",
            Self::Warning => "!",
            Self::Bad => "✗",
        }
    }
}

/// A short coloured label.
pub fn badge(tone: Tone, text: &str) -> Markup {
    html! { span class={ "badge " (tone.class()) } { span.mark aria-hidden="true" { (tone.mark()) } (text) } }
}

/// A verdict: a headline and the lines that explain it.
pub fn banner(tone: Tone, headline: &str, lines: &[String]) -> Markup {
    html! {
        div class={ "banner " (tone.class()) } role="status" {
            p.headline { span.mark aria-hidden="true" { (tone.mark()) } (headline) }
            @for line in lines { p { (line) } }
        }
    }
}

/// Labels and values.
pub fn definitions(items: &[(String, String)]) -> Markup {
    html! { dl.definitions { @for (label, value) in items { dt { (label) } dd { (value) } } } }
}

/// A paragraph of running text.
pub fn paragraph(text: &str) -> Markup {
    html! { p { (text) } }
}

/// A quiet remark below a block.
pub fn note(text: &str) -> Markup {
    html! { p.note { (text) } }
}

/// Blocks below each other as one.
pub fn group(blocks: impl IntoIterator<Item = Markup>) -> Markup {
    html! { @for block in blocks { (block) } }
}

/// A list of lines.
pub fn list(lines: &[String]) -> Markup {
    html! { ul { @for line in lines { li { (line) } } } }
}

/// Commands or code to copy, each with what it does.
pub fn steps(items: &[(String, String)]) -> Markup {
    html! { div.steps { @for (what, command) in items { div { p { (what) } pre { code { (command) } } } } } }
}

/// A part that is folded until opened (and printed open by browsers that do so).
pub fn details(summary: &str, open: bool, block: Markup) -> Markup {
    html! { details open[open] { summary { (summary) } (block) } }
}

/// One metric with its interval.
#[derive(Debug, Clone, Default)]
pub struct MetricBar {
    /// Name.
    pub name: String,
    /// Value.
    pub value: f64,
    /// Lower and upper end of the interval.
    pub interval: Option<(f64, f64)>,
    /// A few words beside the value, such as the level of the interval.
    pub note: String,
}

/// Metrics below each other, each a bar on the scale from `low` to `high` with its interval drawn over it.
#[derive(Debug, Clone)]
pub struct MetricBars {
    /// Start of the scale.
    pub low: f64,
    /// End of the scale.
    pub high: f64,
    /// The metrics.
    pub items: Vec<MetricBar>,
}

impl MetricBars {
    /// Metrics on the scale from 0 to 1.
    pub const fn unit(items: Vec<MetricBar>) -> Self {
        Self { low: 0.0, high: 1.0, items }
    }

    fn place(&self, value: f64) -> f64 {
        let width = self.high - self.low;
        if width > 0.0 && value.is_finite() { ((value - self.low) / width * 200.0).clamp(0.0, 200.0) } else { 0.0 }
    }

    /// The block.
    pub fn render(&self) -> Markup {
        html! {
            table.metrics {
                tbody {
                    @for item in &self.items {
                        @let interval = item.interval.filter(|(low, high)| low.is_finite() && high.is_finite());
                        tr {
                            th scope="row" { (item.name) }
                            td.value { (significant(item.value, 4)) }
                            td.range {
                                @match interval {
                                    Some((low, high)) => { (significant(low, 4)) " to " (significant(high, 4)) }
                                    None => { (NONE) }
                                }
                            }
                            td.bar {
                                svg viewBox="0 0 200 14" preserveAspectRatio="none" aria-hidden="true" {
                                    rect.track x="0" y="4" width="200" height="6" {}
                                    rect.fill x="0" y="4" width=(format!("{:.1}", self.place(item.value))) height="6" {}
                                    @if let Some((low, high)) = interval {
                                        @let (low, high) = (self.place(low), self.place(high));
                                        line.whisker x1=(format!("{low:.1}")) x2=(format!("{high:.1}")) y1="7" y2="7" {}
                                        line.whisker x1=(format!("{low:.1}")) x2=(format!("{low:.1}")) y1="2" y2="12" {}
                                        line.whisker x1=(format!("{high:.1}")) x2=(format!("{high:.1}")) y1="2" y2="12" {}
                                    }
                                }
                            }
                            td.remark { (item.note) }
                        }
                    }
                }
            }
        }
    }
}
