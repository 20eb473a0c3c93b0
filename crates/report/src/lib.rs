#![doc = include_str!("../README.md")]

mod chart;
mod component;
mod number;
mod page;
mod table;

pub use chart::{Bars, Forest, ForestRow, HorizontalBars, Lines, Scatter, Series};
pub use component::{
    MetricBar, MetricBars, Tone, badge, banner, definitions, details, group, list, note, paragraph, steps,
};
pub use maud::Markup;
pub use number::{bytes, count, decimal, percent, seconds, significant};
pub use page::{Page, Section};
pub use table::{Align, Table, TableCell};
