//! Gate rules and the verdict: may this model replace the champion?

mod rule;
mod verdict;

pub use rule::{Basis, Gate, GateError, GateSpec, Rule};
pub use verdict::{Champion, Evidence, Finding, Outcome, State, Verdict, judge};
