//! What every chart has around it: caption, legend, accessible text.

use maud::{Markup, html};

/// Dash patterns, so that series differ without colour.
const DASHES: [&str; 6] = ["none", "8 4", "2 3", "10 3 2 3", "5 2", "1 5"];

/// The class number (1 to 6) of series `place`.
pub(crate) const fn colour(place: usize) -> usize {
    place % DASHES.len() + 1
}

/// The dash pattern of series `place`.
pub(crate) fn dash(place: usize) -> &'static str {
    DASHES.get(place % DASHES.len()).copied().unwrap_or("none")
}

/// A chart with its caption; without data it says so.
pub(crate) fn figure(title: &str, subtitle: &str, wide: bool, drawing: Option<Markup>) -> Markup {
    html! {
        figure class=[wide.then_some("wide")] {
            figcaption { (title) @if !subtitle.is_empty() { span { (subtitle) } } }
            @match drawing { Some(drawing) => { (drawing) } None => { p.empty { "No data to draw." } } }
        }
    }
}

/// The drawing itself with the text a screen reader says.
pub(crate) fn svg(width: f64, height: f64, label: &str, content: Markup) -> Markup {
    html! { svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(label) { (content) } }
}

/// Names of lines; nothing for a single one.
pub(crate) fn line_legend(names: &[&str], guide: Option<&str>) -> Markup {
    html! {
        @if names.len() + usize::from(guide.is_some()) > 1 {
            ul.legend {
                @for (place, name) in names.iter().enumerate() {
                    li {
                        svg viewBox="0 0 28 10" aria-hidden="true" {
                            line class={ "series c" (colour(place)) } x1="0" x2="28" y1="5" y2="5" stroke-dasharray=(dash(place)) {}
                        }
                        (name)
                    }
                }
                @if let Some(guide) = guide {
                    li { svg viewBox="0 0 28 10" aria-hidden="true" { line.guide x1="0" x2="28" y1="5" y2="5" {} } (guide) }
                }
            }
        }
    }
}

/// Names of filled series; nothing for a single one.
pub(crate) fn fill_legend(names: &[&str]) -> Markup {
    html! {
        @if names.len() > 1 {
            ul.legend {
                @for (place, name) in names.iter().enumerate() {
                    li {
                        svg viewBox="0 0 28 10" aria-hidden="true" {
                            @if place == 0 { rect class="f1" x="8" y="0" width="12" height="10" {} }
                            @else { rect class={ "c" (colour(place)) } x="9" y="1" width="10" height="8" fill="none" stroke-width="2" {} }
                        }
                        (name)
                    }
                }
            }
        }
    }
}
