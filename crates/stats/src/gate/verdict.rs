//! Rules held against evidence.

use serde::{Deserialize, Serialize};

use super::rule::{Basis, Gate, Rule};
use crate::compare::Comparison;
use crate::interval::{Estimate, Estimates, Interval};
use crate::metric::Metric;

/// What the gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Every bound holds.
    Passed,
    /// A bound does not hold.
    Refused,
    /// Too few units of dependence, or a metric without a value: the champion stays.
    NotEnoughData,
    /// There is a champion that cannot be measured on the same rows: the champion stays.
    NotComparable,
}

impl State {
    /// The state's name in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::NotEnoughData => "not_enough_data",
            Self::NotComparable => "not_comparable",
        }
    }
}

/// What came of one bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not hold.
    Refused,
    /// There is nothing to hold it against (no champion yet).
    Skipped,
    /// The metric or its interval is missing.
    NotEnoughData,
    /// There is a champion, but no comparison with it.
    NotComparable,
    /// The rule has no bound.
    Shown,
}

/// One bound of one rule: what was measured, what was asked, what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Number of the rule, from 0.
    pub rule: usize,
    /// The metric.
    pub metric: Metric,
    /// Name of the bound: `min`, `max`, `better_than_constant`, `non_inferiority_margin`, `improvement`,
    /// `suspicious_improvement` or `show`.
    pub bound: String,
    /// The bound's number.
    pub limit: Option<f64>,
    /// What the bound is held against.
    pub basis: Basis,
    /// The metric, or the gain over the constant or the champion.
    pub value: Option<f64>,
    /// Its interval.
    pub interval: Option<Interval>,
    /// What came of it.
    pub outcome: Outcome,
    /// The reason in words.
    pub reason: String,
}

/// The gate's answer with every rule and value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What the gate says.
    pub state: State,
    /// The reasons that decided, the gravest first; never empty.
    pub reasons: Vec<String>,
    /// Every bound of every rule.
    pub findings: Vec<Finding>,
}

/// The champion's part of the evidence.
#[derive(Debug, Clone, PartialEq)]
pub enum Champion {
    /// There is none: rules against it are skipped.
    Missing,
    /// It was measured on the same rows and resamples as the candidate.
    Compared(Vec<Comparison>),
    /// There is one, but it cannot be compared: why.
    NotComparable(String),
}

/// What is known about the candidate.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The candidate's metrics; none if there is no row it may be measured on, with the reason in `champion`.
    pub candidate: Option<&'a Estimates>,
    /// The candidate against the best constant predictor on the same rows.
    pub constant: &'a [Comparison],
    /// The candidate against the champion on the same rows.
    pub champion: &'a Champion,
}

/// Holds the rules against the evidence.
///
/// Too few units: not enough data, whatever the values (ml-contract §1). Else a champion that a rule needs and that
/// cannot be measured on the same rows: not comparable (§7). Else a bound that fails refuses; a bound without a value is
/// not enough data.
pub fn judge(gate: &Gate, evidence: &Evidence<'_>) -> Verdict {
    let findings: Vec<Finding> = gate
        .rules()
        .iter()
        .enumerate()
        .flat_map(|(number, rule)| Judge { number, rule, evidence }.findings())
        .collect();
    let having = |outcome: Outcome| -> Vec<String> {
        findings.iter().filter(|finding| finding.outcome == outcome).map(|finding| finding.reason.clone()).collect()
    };
    let (state, reasons) = match too_few(evidence) {
        Some(reason) => (State::NotEnoughData, vec![reason]),
        None if !having(Outcome::NotComparable).is_empty() => {
            let mut reasons = having(Outcome::NotComparable);
            reasons.dedup();
            (State::NotComparable, reasons)
        }
        None if !having(Outcome::Refused).is_empty() => (State::Refused, having(Outcome::Refused)),
        None if !having(Outcome::NotEnoughData).is_empty() => (State::NotEnoughData, having(Outcome::NotEnoughData)),
        None => {
            let passed = having(Outcome::Passed);
            if passed.is_empty() {
                let reason = "every rule needs a champion and there is none yet".to_owned();
                (State::Passed, std::iter::once(reason).chain(having(Outcome::Skipped)).collect())
            } else {
                (State::Passed, passed)
            }
        }
    };
    Verdict { state, reasons, findings }
}

/// Why there are too few units, if so. Without any row it is the comparison that failed, not the amount of data.
fn too_few(evidence: &Evidence<'_>) -> Option<String> {
    let estimates = evidence.candidate?;
    (!estimates.enough_units).then(|| {
        let (units, least) = (estimates.units, estimates.resampling.min_units);
        format!("the test rows hold {units} units of dependence and {least} are needed: the champion stays")
    })
}

/// What a bound is held against.
struct Measured<'a> {
    what: String,
    value: f64,
    interval: Option<&'a Interval>,
}

struct Judge<'a> {
    number: usize,
    rule: &'a Rule,
    evidence: &'a Evidence<'a>,
}

#[derive(Clone, Copy)]
enum Side {
    AtLeast,
    MoreThan,
    AtMost,
}

impl Judge<'_> {
    fn findings(&self) -> Vec<Finding> {
        let rule = self.rule;
        let mut findings = Vec::new();
        if let Some(limit) = rule.min {
            findings.push(self.absolute("min", limit, Side::AtLeast));
        }
        if let Some(limit) = rule.max {
            findings.push(self.absolute("max", limit, Side::AtMost));
        }
        if let Some(limit) = rule.better_than_constant {
            findings.push(self.constant(limit));
        }
        if let Some(margin) = rule.non_inferiority_margin {
            let finding = self.champion("non_inferiority_margin", margin, -margin, Side::AtLeast, rule.basis);
            findings.push(finding);
        }
        if let Some(limit) = rule.improvement {
            findings.push(self.champion("improvement", limit, limit, Side::MoreThan, rule.basis));
        }
        if let Some(limit) = rule.suspicious_improvement {
            findings.push(self.champion("suspicious_improvement", limit, limit, Side::AtMost, Basis::Point));
        }
        if findings.is_empty() {
            findings.push(self.shown());
        }
        findings
    }

    fn estimate(&self) -> Option<&Estimate> {
        self.evidence.candidate.and_then(|estimates| estimates.get(self.rule.metric))
    }

    fn finding(&self, bound: &str, limit: Option<f64>, outcome: Outcome, reason: String) -> Finding {
        Finding {
            rule: self.number,
            metric: self.rule.metric,
            bound: bound.into(),
            limit,
            basis: self.rule.basis,
            value: None,
            interval: None,
            outcome,
            reason,
        }
    }

    fn shown(&self) -> Finding {
        let estimate = self.estimate();
        let reason = format!("{} is shown, no bound is set", self.rule.metric);
        Finding {
            value: estimate.and_then(|estimate| estimate.value),
            interval: estimate.and_then(|estimate| estimate.interval),
            ..self.finding("show", None, Outcome::Shown, reason)
        }
    }

    fn absolute(&self, bound: &str, limit: f64, side: Side) -> Finding {
        let metric = self.rule.metric;
        let Some((estimate, value)) = self.estimate().and_then(|estimate| Some((estimate, estimate.value?))) else {
            let why = self.estimate().and_then(|estimate| estimate.reason.clone());
            let why = why.unwrap_or_else(|| "there is no row to measure on".into());
            return self.finding(bound, Some(limit), Outcome::NotEnoughData, format!("{metric} has no value: {why}"));
        };
        let measured = Measured { what: metric.to_string(), value, interval: estimate.interval.as_ref() };
        self.hold(bound, limit, limit, side, self.rule.basis, &measured)
    }

    fn constant(&self, limit: f64) -> Finding {
        let metric = self.rule.metric;
        let bound = "better_than_constant";
        match self.evidence.constant.iter().find(|comparison| comparison.metric == metric) {
            None => {
                let reason = format!("{metric} of a constant predictor is not defined on these rows");
                self.finding(bound, Some(limit), Outcome::NotEnoughData, reason)
            }
            Some(comparison) => {
                let what = format!("the gain in {metric} over the best constant predictor");
                let measured = Measured { what, value: comparison.gain, interval: comparison.gain_interval.as_ref() };
                self.hold(bound, limit, limit, Side::MoreThan, self.rule.basis, &measured)
            }
        }
    }

    fn champion(&self, bound: &str, stated: f64, limit: f64, side: Side, basis: Basis) -> Finding {
        let metric = self.rule.metric;
        let stopped = |outcome, reason| self.finding(bound, Some(stated), outcome, reason);
        match self.evidence.champion {
            Champion::Missing => {
                stopped(Outcome::Skipped, format!("{metric} is not compared: there is no champion yet"))
            }
            Champion::NotComparable(why) => {
                stopped(Outcome::NotComparable, format!("the champion cannot be compared: {why}"))
            }
            Champion::Compared(all) => match all.iter().find(|comparison| comparison.metric == metric) {
                None => stopped(
                    Outcome::NotEnoughData,
                    format!("{metric} has no value for both the model and the champion on these rows"),
                ),
                Some(comparison) => {
                    let what = format!("the gain in {metric} over the champion");
                    let measured =
                        Measured { what, value: comparison.gain, interval: comparison.gain_interval.as_ref() };
                    self.hold(bound, stated, limit, side, basis, &measured)
                }
            },
        }
    }

    /// Holds one number, or the worse end of its interval, against a limit.
    fn hold(&self, bound: &str, stated: f64, limit: f64, side: Side, basis: Basis, measured: &Measured<'_>) -> Finding {
        let finding = |outcome, reason| Finding {
            value: Some(measured.value),
            interval: measured.interval.copied(),
            basis,
            ..self.finding(bound, Some(stated), outcome, reason)
        };
        let what = &measured.what;
        let judged = match (basis, measured.interval, side) {
            (Basis::Point, _, _) => measured.value,
            (Basis::Interval, Some(interval), Side::AtLeast | Side::MoreThan) => interval.low,
            (Basis::Interval, Some(interval), Side::AtMost) => interval.high,
            (Basis::Interval, None, _) => {
                return finding(Outcome::NotEnoughData, format!("{what} has no interval, which the rule needs"));
            }
        };
        let (holds, need) = match side {
            Side::AtLeast => (judged >= limit, "at least"),
            Side::MoreThan => (judged > limit, "more than"),
            Side::AtMost => (judged <= limit, "at most"),
        };
        let measured_text = match (basis, measured.interval) {
            (Basis::Interval, Some(interval)) => {
                format!("{:.5} (interval {:.5} to {:.5})", measured.value, interval.low, interval.high)
            }
            _ => format!("{:.5}", measured.value),
        };
        let verb = if holds { "holds" } else { "fails" };
        let by = if basis == Basis::Interval { " with confidence" } else { "" };
        let leak =
            if !holds && bound == "suspicious_improvement" { ": look for a leak before trusting it" } else { "" };
        let outcome = if holds { Outcome::Passed } else { Outcome::Refused };
        finding(outcome, format!("{verb}: {what} is {measured_text}, {need} {limit}{by} is asked{leak}"))
    }
}
