//! Integration tests: references, leakage, determinism, bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what went wrong by failing")]

#[path = "it/checkpoint.rs"]
mod checkpoint;
#[path = "it/leakage.rs"]
mod leakage;
#[path = "it/matrix.rs"]
mod matrix;
#[path = "it/recipe.rs"]
mod recipe;
#[path = "it/reference.rs"]
mod reference;
#[path = "it/season.rs"]
mod season;
#[path = "it/study.rs"]
mod study;
#[path = "it/support.rs"]
mod support;
