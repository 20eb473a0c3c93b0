//! Scales, ticks and the frame they are drawn in.

use maud::{Markup, html};

use crate::number;

/// A linear map from values to places in the drawing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

/// Where the ticks of an axis stand and how they are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ticks(pub(crate) Vec<(f64, String)>);

/// The drawing's size, its inner margins and its two scales.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

/// The smallest and largest finite value.
pub(crate) fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|v| v.is_finite()).fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((low.min(v), high.max(v))),
    })
}

/// A coordinate, one digit after the point, never `-0.0`.
pub(crate) fn at(value: f64) -> String {
    let text = format!("{value:.1}");
    if text == "-0.0" { "0.0".into() } else { text }
}

impl Scale {
    /// Maps `low..high` to `from..to`; an empty range is widened.
    pub(crate) fn new((low, high): (f64, f64), from: f64, to: f64) -> Self {
        if high > low && low.is_finite() && high.is_finite() {
            return Self { low, high, from, to };
        }
        let pad = if low == 0.0 || !low.is_finite() { 1.0 } else { low.abs() * 0.1 };
        let low = if low.is_finite() { low } else { 0.0 };
        Self { low: low - pad, high: low + pad, from, to }
    }

    /// Where `value` stands.
    pub(crate) fn place(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// About `wanted` ticks at round numbers.
    pub(crate) fn ticks(&self, wanted: usize) -> Ticks {
        let (step, places) = round_step((self.high - self.low) / wanted.max(1) as f64);
        let first = (self.low / step - 1e-9).ceil();
        let large = self.low.abs().max(self.high.abs()) >= 100_000.0;
        let ticks = (0..=wanted * 3).map(|n| (first + n as f64) * step).take_while(|v| *v <= self.high + step * 1e-9);
        Ticks(ticks.map(|v| (v, if large { short(v) } else { number::decimal(v, places) })).collect())
    }

    /// The range, widened to whole steps, so that an axis ends at a tick.
    pub(crate) fn rounded((low, high): (f64, f64), wanted: usize) -> (f64, f64) {
        if high <= low {
            return (low, high);
        }
        let (step, _) = round_step((high - low) / wanted.max(1) as f64);
        ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step)
    }
}

/// The next 1, 2 or 5 times a power of ten, and the digits after the point that it needs. No logarithm: the bytes are the same everywhere.
fn round_step(rough: f64) -> (f64, usize) {
    if !(rough.is_finite() && rough > 0.0) {
        return (1.0, 0);
    }
    let (mut power, mut places) = (1.0_f64, 0_usize);
    while power > rough && places < 300 {
        power /= 10.0;
        places += 1;
    }
    while power * 10.0 <= rough {
        power *= 10.0;
    }
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= rough * 0.999_999).unwrap_or(10.0);
    let places = if factor == 10.0 { places.saturating_sub(1) } else { places };
    (factor * power, places)
}

/// 1.2 M instead of 1,200,000.
fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, " bn"),
        v if v >= 1e6 => (value / 1e6, " M"),
        v if v >= 1e3 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    format!("{}{unit}", number::significant(scaled, 4))
}

impl Frame {
    /// A frame with room for labels as wide as `label_chars`.
    pub(crate) fn new(width: f64, height: f64, label_chars: usize) -> Self {
        let left = 16.0 + 7.2 * label_chars.clamp(2, 30) as f64;
        Self { width, height, left, right: 14.0, top: 24.0, bottom: 44.0 }
    }

    /// The horizontal scale.
    pub(crate) fn x(&self, range: (f64, f64)) -> Scale {
        Scale::new(range, self.left, self.width - self.right)
    }

    /// The vertical scale: upwards.
    pub(crate) fn y(&self, range: (f64, f64)) -> Scale {
        Scale::new(range, self.height - self.bottom, self.top)
    }

    /// Grid, ticks and names of both axes.
    pub(crate) fn axes(&self, x: (&Scale, &Ticks, &str), y: (&Scale, &Ticks, &str)) -> Markup {
        let (floor, end) = (self.height - self.bottom, self.width - self.right);
        html! {
            @for (value, text) in &y.1.0 {
                @let place = y.0.place(*value);
                line.gridline x1=(at(self.left)) x2=(at(end)) y1=(at(place)) y2=(at(place)) {}
                text x=(at(self.left - 8.0)) y=(at(place + 4.0)) text-anchor="end" { (text) }
            }
            (self.floor(x.0, x.1, x.2, floor, end))
            text.label x="2" y="12" { (y.2) }
        }
    }

    fn floor(&self, x: &Scale, ticks: &Ticks, label: &str, floor: f64, end: f64) -> Markup {
        html! {
            line.axis x1=(at(self.left)) x2=(at(end)) y1=(at(floor)) y2=(at(floor)) {}
            @for (value, text) in &ticks.0 {
                @let place = x.place(*value);
                line.axis x1=(at(place)) x2=(at(place)) y1=(at(floor)) y2=(at(floor + 4.0)) {}
                text x=(at(place)) y=(at(floor + 18.0)) text-anchor="middle" { (text) }
            }
            text.label x=(at(f64::midpoint(self.left, end))) y=(at(self.height - 6.0)) text-anchor="middle" { (label) }
        }
    }

    /// A vertical grid, ticks and a name along the bottom only.
    pub(crate) fn bottom_axis(&self, x: &Scale, ticks: &Ticks, label: &str) -> Markup {
        let (floor, end) = (self.height - self.bottom, self.width - self.right);
        html! {
            @for (value, _) in &ticks.0 {
                @let place = at(x.place(*value));
                line.gridline x1=(place) x2=(place) y1=(at(self.top)) y2=(at(floor)) {}
            }
            (self.floor(x, ticks, label, floor, end))
        }
    }
}

impl Ticks {
    /// The widest label, in characters.
    pub(crate) fn widest(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(1)
    }
}
