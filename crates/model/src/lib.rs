//! The model as data and the one interpreter that applies it to unseen rows.
#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod audit;
mod calendar;
mod error;
mod example;
pub mod file;
mod model;
mod output;
mod predictions;
mod predictor;
pub mod proto;
mod read;
mod signature;
mod slots;
mod transform;
mod vocabulary;

pub use audit::{Audit, InputAudit};
pub use error::ModelError;
pub use file::FORMAT_VERSION;
pub use model::{Model, Scratch};
pub use output::{Calibration, Link, Output, Task, logistic};
pub use predictions::{Prediction, Predictions};
pub use predictor::{Cost, Predictor};
pub use read::write_text;
pub use signature::{Input, Signature};
pub use slots::{Slots, SlotsView};
pub use transform::{Block, SlotShape, Transformer};
pub use vocabulary::{FIRST, MISSING, UNKNOWN};
