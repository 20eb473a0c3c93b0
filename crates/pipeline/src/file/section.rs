//! The sections of the file, one struct each; defaults are those of the README.

mod data;
mod model;

pub use data::{AsOf, Available, Csv, Dataset, Format, Join, Key, Named, RefuseAnomalies, Source, Step};
pub use model::{
    Basis, Evaluation, Monitoring, Preparation, Refit, Register, Registry, Rule, Split, SplitMethod, Task, Threshold,
    Training, Treatment,
};

/// The seed of every pipeline that names none.
pub(super) const fn seed() -> u64 {
    42
}
