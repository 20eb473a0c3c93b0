//! Splits: no unit straddles two, order of rows does not matter, shares hold.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_preparation::split::{Candidate, Method, Part, Plan, Request, SplitError, assign, decide};
use gristmill_types::{Column, Columns, Values};

const HOUR: i64 = 3_600_000_000;

fn events(rows: i64) -> Columns {
    Columns::new(vec![
        Column::int("customer_id", (0..rows).map(|row| Some(row % 37))),
        Column::new(
            "at",
            Values::Timestamp { zone: Some("America/New_York".into()), micros: (0..rows).map(|r| r * HOUR).collect() },
        ),
        Column::text("y", (0..rows).map(|row| Some(if row % 5 == 0 { "yes" } else { "no" }))),
    ])
    .unwrap()
}

fn plan_of(request: &Request, rows: &Columns) -> Result<Plan, SplitError> {
    decide(request, Candidate { rows, target: "y", id_columns: &[] })
}

fn run(request: &Request, rows: &Columns) -> (Plan, gristmill_preparation::split::Assignment) {
    let plan = plan_of(request, rows).unwrap();
    let keys: Vec<i64> = (0..rows.rows() as i64).collect();
    let assignment = assign(&plan, rows, &keys, rows.get("y").unwrap(), 7).unwrap();
    (plan, assignment)
}

fn straddles(assignment: &gristmill_preparation::split::Assignment) -> bool {
    let mut parts: BTreeMap<&str, BTreeSet<u8>> = BTreeMap::new();
    let units = assignment.units.as_ref().unwrap();
    for (unit, part) in (0..units.codes.len()).map(|row| units.get(row)).zip(&assignment.parts) {
        parts.entry(unit).or_default().insert(*part as u8);
    }
    parts.values().any(|parts| parts.len() > 1)
}

#[test]
fn time_is_chosen_first_and_cuts_between_local_days() {
    let rows = events(24 * 100);
    let (plan, assignment) = run(&Request::default(), &rows);
    assert_eq!((plan.method, plan.column.as_deref()), (Method::Time, Some("at")));
    assert!(plan.reason.contains("101 days"), "{}", plan.reason);
    assert!(!straddles(&assignment));
    let last = |part| assignment.rows(part).into_iter().max().unwrap();
    let first = |part| assignment.rows(part).into_iter().min().unwrap();
    assert!(last(Part::Train) < first(Part::Validation) && last(Part::Validation) < first(Part::Test));
    let share = assignment.rows(Part::Train).len() as f64 / 2400.0;
    assert!((0.58..=0.6).contains(&share), "{share}");
}

#[test]
fn explicit_days_and_a_gap_are_kept() {
    let rows = events(24 * 30);
    let request = Request {
        until: Some(("1970-01-10".parse().unwrap(), "1970-01-20".parse().unwrap())),
        gap_seconds: 86_400,
        ..Request::default()
    };
    let (_, assignment) = run(&request, &rows);
    // Local 10 January ends at 05:00 UTC on the 11th; it and 20 January are the gap.
    assert_eq!(assignment.rows(Part::Train).len(), 5 + 9 * 24);
    assert_eq!(assignment.rows(Part::Left).len(), 48);
    let late = Request { until: Some(("1971-01-01".parse().unwrap(), "1971-02-01".parse().unwrap())), ..request };
    let plan = plan_of(&late, &rows).unwrap();
    let keys: Vec<i64> = (0..rows.rows() as i64).collect();
    let error = assign(&plan, &rows, &keys, rows.get("y").unwrap(), 7).unwrap_err().to_string();
    assert!(error.contains("validation split has no rows") && error.contains("1971-01-01"), "{error}");
}

#[test]
fn a_repeating_key_is_chosen_when_no_time_is_there() {
    let rows = events(24 * 100).select(&["customer_id", "y"]);
    let (plan, assignment) = run(&Request::default(), &rows);
    assert_eq!((plan.method, plan.column.as_deref()), (Method::Group, Some("customer_id")));
    assert!(!straddles(&assignment));
}

#[test]
fn a_stratified_split_keeps_each_class_share_and_ignores_row_order() {
    let rows = events(1000).select(&["y"]);
    let (plan, assignment) = run(&Request::default(), &rows);
    assert_eq!(plan.method, Method::Stratified);
    for (part, share) in [(Part::Train, 0.6), (Part::Validation, 0.2), (Part::Test, 0.2)] {
        let of_part = assignment.rows(part);
        let yes = of_part.iter().filter(|row| *row % 5 == 0).count();
        assert_eq!((of_part.len(), yes), ((1000.0 * share) as usize, (200.0 * share) as usize));
    }
    let backwards: Vec<usize> = (0..1000).rev().collect();
    let keys: Vec<i64> = (0..1000).rev().collect();
    let again = assign(&plan, &rows.take(&backwards), &keys, rows.take(&backwards).get("y").unwrap(), 7).unwrap();
    for row in 0..1000 {
        assert_eq!(assignment.parts[row], again.parts[999 - row]);
    }
}

#[test]
fn a_hash_split_keeps_a_row_where_it_was() {
    let few = events(500).select(&["y"]);
    let many = events(1000).select(&["y"]);
    let request = Request { method: Some(Method::Hash), ..Request::default() };
    let (_, before) = run(&request, &few);
    let (_, after) = run(&request, &many);
    assert_eq!(before.parts, after.parts[..500]);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let rows = events(100);
    let refuse = |request: Request| plan_of(&request, &rows).unwrap_err().to_string();
    assert!(refuse(Request { column: Some("when".into()), ..Request::default() }).contains("no column `when`"));
    let text = refuse(Request { method: Some(Method::Time), column: Some("y".into()), ..Request::default() });
    assert!(text.contains("`y` is text"), "{text}");
    assert!(refuse(Request { shares: Some([0.9, 0.2, 0.1]), ..Request::default() }).contains("add up to 1"));
    let days = Some(("2013-02-01".parse().unwrap(), "2013-01-01".parse().unwrap()));
    assert!(refuse(Request { until: days, ..Request::default() }).contains("must be after"));
    assert!(refuse(Request { method: Some(Method::Group), ..Request::default() }).contains("needs a column"));
}
