//! Search spaces, and the proposal of a trial's parameters.

use std::collections::BTreeMap;

use gristmill_stats::random::{below, generator, uniform};
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::learner::{LearnerKind, ParamValue, Params, refused};

/// What one parameter may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Range {
    /// A number from `low` to `high`.
    Float {
        /// Least value.
        low: f64,
        /// Greatest value.
        high: f64,
        /// Whether equal ratios are equally likely.
        #[serde(default)]
        log: bool,
    },
    /// A whole number from `low` to `high`.
    Int {
        /// Least value.
        low: i64,
        /// Greatest value.
        high: i64,
        /// Whether equal ratios are equally likely.
        #[serde(default)]
        log: bool,
    },
    /// One of several names.
    Choice {
        /// The names.
        values: Vec<String>,
    },
    /// Always the same value.
    Fixed {
        /// The value.
        value: ParamValue,
    },
}

/// One parameter: its range, and the value of a learner's first trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// What it may be.
    pub range: Range,
    /// What it is in the learner's first trial.
    pub default: ParamValue,
}

/// The parameters of one learner by name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Space(pub BTreeMap<String, Dimension>);

/// An earlier trial, as a proposal may use it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// Its number in the study.
    pub number: u32,
    /// What was learned with.
    pub learner: LearnerKind,
    /// Its parameters.
    pub params: Params,
    /// Its validation loss; none if it failed.
    pub score: Option<f64>,
}

impl Space {
    fn with(mut self, name: &str, range: Range, default: ParamValue) -> Self {
        self.0.insert(name.into(), Dimension { range, default });
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn float(self, name: &str, low: f64, high: f64, default: f64) -> Self {
        self.with(name, Range::Float { low, high, log: false }, ParamValue::Float(default))
    }

    /// Adds a number on a log scale.
    #[must_use]
    pub fn log_float(self, name: &str, low: f64, high: f64, default: f64) -> Self {
        self.with(name, Range::Float { low, high, log: true }, ParamValue::Float(default))
    }

    /// Adds a whole number.
    #[must_use]
    pub fn int(self, name: &str, low: i64, high: i64, default: i64) -> Self {
        self.with(name, Range::Int { low, high, log: false }, ParamValue::Int(default))
    }

    /// Adds a whole number on a log scale.
    #[must_use]
    pub fn log_int(self, name: &str, low: i64, high: i64, default: i64) -> Self {
        self.with(name, Range::Int { low, high, log: true }, ParamValue::Int(default))
    }

    /// Adds a whole number that does not vary.
    #[must_use]
    pub fn fixed_int(self, name: &str, value: i64) -> Self {
        let value = ParamValue::Int(value);
        self.with(name, Range::Fixed { value: value.clone() }, value)
    }

    /// The space with the dimensions of `other` in the place of its own.
    ///
    /// # Errors
    /// [`LearnError::Parameter`] for a name the learner does not have, or an empty or inverted range.
    pub fn overridden(mut self, learner: LearnerKind, other: &Self) -> Result<Self, LearnError> {
        for (name, dimension) in &other.0 {
            dimension.check(learner, name)?;
            if self.0.insert(name.clone(), dimension.clone()).is_none() {
                let known: Vec<&str> = self.0.keys().filter(|known| *known != name).map(String::as_str).collect();
                return Err(refused(learner, name, format!("there is no such parameter: it has {}", known.join(", "))));
            }
        }
        Ok(self)
    }

    /// The parameters of a learner's first trial.
    pub fn defaults(&self) -> Params {
        Params(self.0.iter().map(|(name, dimension)| (name.clone(), dimension.default.clone())).collect())
    }
}

impl Dimension {
    fn check(&self, learner: LearnerKind, name: &str) -> Result<(), LearnError> {
        let fits = match &self.range {
            Range::Float { low, high, log } => {
                low.is_finite() && high.is_finite() && low <= high && (!log || *low > 0.0)
            }
            Range::Int { low, high, log } => low <= high && (!log || *low > 0),
            Range::Choice { values } => !values.is_empty(),
            Range::Fixed { .. } => true,
        };
        if fits {
            return Ok(());
        }
        Err(refused(learner, name, "its range is empty, not finite, or not above 0 on a log scale".into()))
    }
}

/// The parameters of trial `number`: a pure function of the space, the trials it may look at, the
/// study's seed and its number, so that it does not matter where or in what order trials run.
///
/// This is a random search (Bergstra and Bengio, 2012): `earlier` is not looked at. A sampler that
/// learns from it takes this function's place; the study hands over the trials up to the lag.
pub fn propose(space: &Space, earlier: &[Tried], seed: u64, number: u32) -> Params {
    let _ = earlier;
    let mut params = BTreeMap::new();
    for (index, (name, dimension)) in space.0.iter().enumerate() {
        // A stream per parameter: changing one range leaves the others' draws as they were.
        let mut draw = generator(seed, &format!("propose/{name}"), u64::from(number) << 16 | index as u64);
        let value = match &dimension.range {
            Range::Float { low, high, log } => ParamValue::Float(between(*low, *high, *log, uniform(&mut draw))),
            Range::Int { low, high, log: false } => {
                let span = high.abs_diff(*low).saturating_add(1);
                ParamValue::Int(low.saturating_add_unsigned(below(&mut draw, span)))
            }
            Range::Int { low, high, log: true } => {
                let value = between(*low as f64 - 0.499, *high as f64 + 0.499, true, uniform(&mut draw));
                ParamValue::Int((value.round() as i64).clamp(*low, *high))
            }
            Range::Choice { values } => {
                let index = below(&mut draw, values.len() as u64) as usize;
                ParamValue::Text(values.get(index).cloned().unwrap_or_default())
            }
            Range::Fixed { value } => value.clone(),
        };
        params.insert(name.clone(), value);
    }
    Params(params)
}

/// The point at share `u` of the way from `low` to `high`.
fn between(low: f64, high: f64, log: bool, u: f64) -> f64 {
    let value = if log {
        let (low, high) = (libm::log(low), libm::log(high));
        libm::exp(low + (high - low) * u)
    } else {
        low + (high - low) * u
    };
    // Four digits: a parameter that people can read and type in again.
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    rounded.clamp(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Space {
        Space::default().log_float("eta", 0.01, 1.0, 0.1).int("depth", 3, 5, 4).log_int("leaf", 1, 100, 10)
    }

    #[test]
    fn proposals_depend_on_their_number_alone() {
        assert_eq!(propose(&space(), &[], 7, 3), propose(&space(), &[], 7, 3));
        assert_ne!(propose(&space(), &[], 7, 3), propose(&space(), &[], 7, 4));
        assert_ne!(propose(&space(), &[], 8, 3), propose(&space(), &[], 7, 3));
    }

    #[test]
    fn proposals_fill_their_ranges() {
        let (mut below_tenth, mut depths, mut small_leaves) = (0, [0; 3], 0);
        for number in 0..1_000 {
            let params = propose(&space(), &[], 1, number);
            let eta = params.float(LearnerKind::Boosting, "eta", 0.0).unwrap();
            assert!((0.01..=1.0).contains(&eta));
            below_tenth += u32::from(eta < 0.1);
            depths[params.count(LearnerKind::Boosting, "depth", 0).unwrap() as usize - 3] += 1;
            small_leaves += u32::from(params.count(LearnerKind::Boosting, "leaf", 0).unwrap() <= 10);
        }
        // Binomial(1000, 1/2) lies within five standard deviations of its mean.
        assert!((420..=580).contains(&below_tenth), "{below_tenth}");
        assert!(depths.iter().all(|n| *n > 250), "{depths:?}");
        assert!((450..=720).contains(&small_leaves), "{small_leaves}");
    }

    #[test]
    fn unknown_parameters_are_refused() {
        let other = Space::default().float("etaa", 0.1, 0.2, 0.1);
        let error = space().overridden(LearnerKind::Boosting, &other).unwrap_err().to_string();
        assert!(error.contains("no such parameter") && error.contains("depth, eta"), "{error}");
        let inverted = Space::default().int("depth", 5, 3, 4);
        assert!(space().overridden(LearnerKind::Boosting, &inverted).is_err());
    }
}
