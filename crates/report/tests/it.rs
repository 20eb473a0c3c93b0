//! The report crate's integration tests.

#[path = "it/chart.rs"]
mod chart;
#[path = "it/number.rs"]
mod number;
#[path = "it/page.rs"]
mod page;
#[path = "it/sample.rs"]
mod sample;
