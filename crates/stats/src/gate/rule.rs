//! Rules as data, and their check.

use serde::{Deserialize, Serialize};

use crate::metric::{Metric, Task};

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The end of the interval that is worse for the model: a bound must hold with confidence.
    #[default]
    Interval,
    /// The value itself.
    Point,
}

/// One rule about one metric; every bound that is given must hold. A rule without bounds only shows the metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The metric.
    pub metric: Metric,
    /// The metric must be at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The metric must be at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The model must be better than the best constant predictor (told the true mean of these rows) by more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub better_than_constant: Option<f64>,
    /// The model may be worse than the champion by at most this much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub non_inferiority_margin: Option<f64>,
    /// The model must be better than the champion by more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub improvement: Option<f64>,
    /// A model better than the champion by more than this is suspected of a leak and refused; always judged by the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspicious_improvement: Option<f64>,
    /// What the bounds are held against.
    #[serde(default)]
    pub basis: Basis,
}

impl Rule {
    /// A rule that only shows `metric`.
    pub const fn show(metric: Metric) -> Self {
        Self {
            metric,
            min: None,
            max: None,
            better_than_constant: None,
            non_inferiority_margin: None,
            improvement: None,
            suspicious_improvement: None,
            basis: Basis::Interval,
        }
    }

    /// Whether it has a bound.
    pub const fn decides(&self) -> bool {
        self.min.is_some() || self.max.is_some() || self.better_than_constant.is_some() || self.compares()
    }

    /// Whether it has a bound against the champion.
    pub const fn compares(&self) -> bool {
        self.non_inferiority_margin.is_some() || self.improvement.is_some() || self.suspicious_improvement.is_some()
    }

    fn check(&self, task: Task, at: &str, problems: &mut Vec<(String, String)>) {
        let mut bad = |field: &str, text: String| problems.push((format!("{at}.{field}"), text));
        if !self.metric.applies_to(task) {
            let known: Vec<_> = Metric::of(task).filter(|metric| metric.gateable()).map(Metric::name).collect();
            bad("metric", format!("{} is not a metric of a {task} task: use one of {}", self.metric, known.join(", ")));
        } else if !self.metric.gateable() && self.decides() {
            let why = "is shown but cannot gate, since a constant predictor scores about 0";
            bad("metric", format!("{} {why}: gate on log_loss, brier or calibration_slope", self.metric));
        }
        for (field, bound) in [("min", self.min), ("max", self.max)] {
            if bound.is_some_and(|bound| !bound.is_finite()) {
                bad(field, "a bound is a finite number".into());
            }
        }
        if let (Some(min), Some(max)) = (self.min, self.max)
            && min > max
        {
            bad("min", format!("{min} is above max {max}, so no model can pass"));
        }
        for (field, change) in [
            ("better_than_constant", self.better_than_constant),
            ("non_inferiority_margin", self.non_inferiority_margin),
            ("improvement", self.improvement),
            ("suspicious_improvement", self.suspicious_improvement),
        ] {
            if change.is_some_and(|change| !(change.is_finite() && change >= 0.0)) {
                bad(field, "a change is a finite number, 0 or more, in the metric's own unit".into());
            }
        }
        if let (Some(least), Some(most)) = (self.improvement, self.suspicious_improvement)
            && least >= most
        {
            bad("improvement", format!("{least} is not below suspicious_improvement {most}, so no model can pass"));
        }
    }
}

/// Rules as they come from a file or a request, not yet checked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateSpec {
    /// The rules; all that decide must pass.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

impl GateSpec {
    /// The rules in force when none are given.
    ///
    /// Classes: log loss better than the best constant, and not worse than the champion's by more than 0.005 (about
    /// 1 % of the log loss of a coin). Regression: RMSE better than the mean's, and R² not worse than the champion's by
    /// more than 0.01. Binary tasks show calibration slope and intercept beside.
    pub fn default_of(task: Task) -> Self {
        let primary = Rule { better_than_constant: Some(0.0), ..Rule::show(Metric::primary(task)) };
        let rules = match task {
            Task::Binary => vec![
                Rule { non_inferiority_margin: Some(0.005), ..primary },
                Rule::show(Metric::RocAuc),
                Rule::show(Metric::CalibrationSlope),
                Rule::show(Metric::CalibrationIntercept),
            ],
            Task::Multiclass => {
                vec![Rule { non_inferiority_margin: Some(0.005), ..primary }, Rule::show(Metric::MacroF1)]
            }
            Task::Regression => {
                vec![primary, Rule { non_inferiority_margin: Some(0.01), ..Rule::show(Metric::R2) }]
            }
        };
        Self { rules }
    }

    /// Checks the rules for `task`.
    ///
    /// # Errors
    /// [`GateError`] lists everything that is wrong, each with the path of its field.
    pub fn check(self, task: Task) -> Result<Gate, GateError> {
        let mut problems = Vec::new();
        for (number, rule) in self.rules.iter().enumerate() {
            rule.check(task, &format!("rules[{number}]"), &mut problems);
        }
        if !self.rules.iter().any(Rule::decides) {
            problems.push(("rules".into(), "no rule has a bound, so the gate decides nothing: give one, such as `metric: log_loss, better_than_constant: 0`".into()));
        }
        if problems.is_empty() { Ok(Gate { task, rules: self.rules }) } else { Err(GateError { problems }) }
    }
}

/// Checked rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    task: Task,
    rules: Vec<Rule>,
}

impl Gate {
    /// The task that the rules are for.
    pub const fn task(&self) -> Task {
        self.task
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// Why rules cannot be a gate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the gate cannot be used: {}", problems.iter().map(|(at, what)| format!("{at}: {what}")).collect::<Vec<_>>().join("; "))]
pub struct GateError {
    /// Path of the field and what is wrong with it.
    pub problems: Vec<(String, String)>,
}
