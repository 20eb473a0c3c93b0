//! Gates: rules, their check, and every state of the verdict.

use gristmill_stats::compare::compare;
use gristmill_stats::gate::{Champion, Evidence, Gate, GateSpec, Outcome, State, Verdict, judge};
use gristmill_stats::interval::{Replicates, Resampling, Units};
use gristmill_stats::metric::{Scores, Task};
use gristmill_stats::random::{generator, uniform};
use gristmill_stats::special::{logistic, normal_quantile};

const ROWS: usize = 1_500;

/// Outcomes that follow logistic(z), scored by `score(z, noise)`.
fn scores(score: impl Fn(f64, f64) -> f64) -> Scores {
    let mut generator = generator(2, "gate", 0);
    let mut normal = || normal_quantile(uniform(&mut generator).max(1e-12));
    let (mut truth, mut p) = (Vec::new(), Vec::new());
    for _ in 0..ROWS {
        let (z, noise, luck) = (1.5 * normal(), normal(), normal());
        truth.push(gristmill_stats::special::normal_cdf(luck) < logistic(z));
        p.push(logistic(score(z, noise)));
    }
    Scores::binary(truth, p, 0.5).unwrap()
}

fn good() -> Scores {
    scores(|z, _| z)
}

fn worse() -> Scores {
    scores(|z, noise| z + 0.9 * noise)
}

fn useless() -> Scores {
    scores(|_, noise| 1.5 * noise)
}

fn gate(rules: &str) -> Gate {
    serde_json::from_str::<GateSpec>(rules).unwrap().check(Task::Binary).unwrap()
}

fn units(count: usize) -> Units {
    Units::from_labels((0..ROWS).map(|row| row % count))
}

enum Against<'a> {
    Nobody,
    Model(&'a Scores),
    Unknown,
}

fn verdict(gate: &Gate, candidate: &Scores, against: &Against<'_>, units: &Units) -> Verdict {
    let resampling = Resampling { replicates: 300, ..Resampling::default() };
    let measure = |scores: &Scores| Replicates::of(scores, units, resampling).unwrap();
    let ours = measure(candidate);
    let constant = compare(&ours, &measure(&candidate.constant_baseline().unwrap())).unwrap();
    let champion = match against {
        Against::Nobody => Champion::Missing,
        Against::Model(scores) => Champion::Compared(compare(&ours, &measure(scores)).unwrap()),
        Against::Unknown => Champion::NotComparable("no row is left that neither model was trained on".into()),
    };
    let estimates = ours.estimates();
    judge(gate, &Evidence { candidate: Some(&estimates), constant: &constant, champion: &champion })
}

#[test]
fn default_rules_accept_what_is_better_and_refuse_what_is_worse() {
    let gate = GateSpec::default_of(Task::Binary).check(Task::Binary).unwrap();
    let units = units(100);
    let first = verdict(&gate, &good(), &Against::Nobody, &units);
    assert_eq!(first.state, State::Passed, "{first:?}");
    let skipped = first.findings.iter().find(|finding| finding.bound == "non_inferiority_margin").unwrap();
    assert_eq!(skipped.outcome, Outcome::Skipped);
    assert!(skipped.reason.contains("no champion"));
    let slope = first.findings.iter().find(|finding| finding.metric.name() == "calibration_slope").unwrap();
    assert_eq!(slope.outcome, Outcome::Shown);
    assert!((slope.value.unwrap() - 1.0).abs() < 0.1 && slope.interval.is_some());

    assert_eq!(verdict(&gate, &good(), &Against::Model(&worse()), &units).state, State::Passed);
    assert_eq!(verdict(&gate, &good(), &Against::Model(&good()), &units).state, State::Passed);
    let refused = verdict(&gate, &worse(), &Against::Model(&good()), &units);
    assert_eq!(refused.state, State::Refused);
    assert!(refused.reasons[0].contains("log_loss") && refused.reasons[0].contains("-0.005"), "{refused:?}");
    let useless = verdict(&gate, &useless(), &Against::Nobody, &units);
    assert_eq!(useless.state, State::Refused);
    assert!(useless.reasons[0].contains("constant"), "{useless:?}");
}

#[test]
fn few_units_are_not_enough_data_whatever_the_values() {
    let gate = gate(r#"{"rules":[{"metric":"roc_auc","min":0.1,"basis":"point"}]}"#);
    let few = verdict(&gate, &good(), &Against::Nobody, &units(29));
    assert_eq!(few.state, State::NotEnoughData);
    assert!(few.reasons[0].contains("29 units"), "{few:?}");
    assert_eq!(few.findings[0].outcome, Outcome::Passed);
    assert_eq!(verdict(&gate, &good(), &Against::Nobody, &units(30)).state, State::Passed);
}

#[test]
fn a_champion_that_cannot_be_measured_is_not_comparable() {
    let gate = GateSpec::default_of(Task::Binary).check(Task::Binary).unwrap();
    let verdict_of = verdict(&gate, &good(), &Against::Unknown, &units(100));
    assert_eq!(verdict_of.state, State::NotComparable);
    assert!(verdict_of.reasons[0].contains("no row is left"), "{verdict_of:?}");

    let champion = Champion::NotComparable("no row is left".into());
    let nothing = judge(&gate, &Evidence { candidate: None, constant: &[], champion: &champion });
    assert_eq!(nothing.state, State::NotComparable);
    // Rules that do not look at the champion are not stopped by it.
    let absolute = self::gate(r#"{"rules":[{"metric":"roc_auc","min":0.6}]}"#);
    assert_eq!(verdict(&absolute, &good(), &Against::Unknown, &units(100)).state, State::Passed);
}

#[test]
fn an_interval_must_clear_the_bound_and_a_point_need_not() {
    let units = units(100);
    let candidate = good();
    let resampling = Resampling { replicates: 300, ..Resampling::default() };
    let estimates = Replicates::of(&candidate, &units, resampling).unwrap().estimates();
    let auc = estimates.get("roc_auc".parse().unwrap()).unwrap();
    let between = 0.5 * (auc.value.unwrap() + auc.interval.unwrap().low);
    let at = |bound: &str, limit: f64, basis: &str| {
        let rules = format!(r#"{{"rules":[{{"metric":"roc_auc","{bound}":{limit},"basis":"{basis}"}}]}}"#);
        verdict(&gate(&rules), &candidate, &Against::Nobody, &units).state
    };
    assert_eq!(at("min", between, "interval"), State::Refused);
    assert_eq!(at("min", between, "point"), State::Passed);
    assert_eq!(at("min", auc.interval.unwrap().low, "interval"), State::Passed);
    let above = 0.5 * (auc.value.unwrap() + auc.interval.unwrap().high);
    assert_eq!(at("max", above, "interval"), State::Refused);
    assert_eq!(at("max", above, "point"), State::Passed);
}

#[test]
fn improvement_must_be_shown_and_too_much_of_it_is_suspicious() {
    let units = units(100);
    let at = |rule: &str, candidate: &Scores, champion: &Scores| {
        let rules = format!(r#"{{"rules":[{{"metric":"log_loss",{rule}}}]}}"#);
        verdict(&gate(&rules), candidate, &Against::Model(champion), &units)
    };
    assert_eq!(at(r#""improvement":0.0"#, &good(), &worse()).state, State::Passed);
    assert_eq!(at(r#""improvement":0.0"#, &good(), &good()).state, State::Refused);
    let leak = at(r#""suspicious_improvement":0.01"#, &good(), &worse());
    assert_eq!(leak.state, State::Refused);
    assert!(leak.reasons[0].contains("leak"), "{leak:?}");
    assert_eq!(at(r#""suspicious_improvement":0.5"#, &good(), &worse()).state, State::Passed);
}

#[test]
fn unusable_rules_are_refused_with_their_place() {
    let problem = |rules: &str, task| {
        let error = serde_json::from_str::<GateSpec>(rules).unwrap().check(task).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{error}");
        error.problems.into_iter().next().unwrap()
    };
    let (at, why) = problem(r#"{"rules":[{"metric":"roc_auc","min":0.5},{"metric":"ece","max":0.1}]}"#, Task::Binary);
    assert!(at == "rules[1].metric" && why.contains("cannot gate"), "{at} {why}");
    let (at, why) = problem(r#"{"rules":[{"metric":"roc_auc","min":0.5}]}"#, Task::Regression);
    assert!(at == "rules[0].metric" && why.contains("rmse"), "{at} {why}");
    let (at, _) = problem(r#"{"rules":[{"metric":"rmse","max":5,"non_inferiority_margin":-1}]}"#, Task::Regression);
    assert_eq!(at, "rules[0].non_inferiority_margin");
    let (at, _) = problem(r#"{"rules":[{"metric":"brier","min":0.5,"max":0.1}]}"#, Task::Binary);
    assert_eq!(at, "rules[0].min");
    let (at, why) = problem(r#"{"rules":[]}"#, Task::Binary);
    assert!(at == "rules" && why.contains("decides nothing"), "{why}");
    problem(r#"{"rules":[{"metric":"roc_auc"}]}"#, Task::Binary);
    assert!(serde_json::from_str::<GateSpec>(r#"{"rules":[{"metric":"roc_auc","minimum":0.5}]}"#).is_err());
    for task in [Task::Binary, Task::Multiclass, Task::Regression] {
        GateSpec::default_of(task).check(task).unwrap();
    }
}

#[test]
fn a_verdict_reads_back_as_it_was_written() {
    let gate = GateSpec::default_of(Task::Binary).check(Task::Binary).unwrap();
    let verdict = verdict(&gate, &good(), &Against::Model(&worse()), &units(60));
    let text = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict);
}
