//! SVG charts, drawn here so that the bytes decide what is shown.

mod axis;
mod bars;
mod figure;
mod forest;
mod horizontal;
mod lines;
mod scatter;

pub use bars::Bars;
pub use forest::{Forest, ForestRow};
pub use horizontal::HorizontalBars;
pub use lines::{Lines, Series};
pub use scatter::Scatter;
