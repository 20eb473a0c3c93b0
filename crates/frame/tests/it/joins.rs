//! Joins: every row accounted for, nothing from the future.

use gristmill_frame::{Availability, Integration, Join, Step};

use super::bench::{Bench, as_of, derive, ints, join, on, steps, texts};

const EVENTS: &str = "id,place,at\n1,a,2024-01-01T10:00:00Z\n2,a,2024-01-01T11:30:00Z\n3,b,2024-01-01T12:00:00Z\n4,NA,2024-01-01T12:00:00Z\n5,c,2024-01-01T12:00:00Z\n";
const WEATHER: &str = "place,hour,temp\na,2024-01-01T09:00:00Z,1\na,2024-01-01T10:00:00Z,2\na,2024-01-01T11:00:00Z,3\nb,2024-01-01T12:00:00Z,4\nc,2024-01-01T02:00:00Z,5\n";

fn weather() -> Bench {
    Bench::new().csv("events", EVENTS).csv("weather", WEATHER).at("weather", "hour", 3_600)
}

fn known(mut integration: Integration) -> Integration {
    integration.known_at = Some("at".into());
    integration
}

#[test]
fn as_of_takes_the_newest_row_that_was_available() {
    let mut join = as_of("weather", &[("place", "place")], Some(4 * 3_600));
    join.min_matched = Some(0.1);
    let (outcome, columns) = weather().run(known(steps("events", vec![Step::AsOf(join)]))).unwrap();
    // 10:00 sees the hour of 9; 11:30 that of 10; b's only hour ends at 13; c's is nine hours old.
    assert_eq!(ints(&columns, "temp"), [Some(1), Some(2), None, None, None]);
    assert_eq!(ints(&columns, "id"), [Some(1), Some(2), Some(3), Some(4), Some(5)]);
    let report = &outcome.report.joins[0];
    assert_eq!((report.rows_in, report.matched, report.unmatched, report.rows_out), (5, 2, 3, 5));
    assert_eq!((report.null_keys, report.not_in_time, report.multiplied), (1, 2, 0));
    let temp = outcome.report.columns.iter().find(|c| c.name == "temp").unwrap();
    assert_eq!(temp.from, ["weather.temp"]);
    assert_eq!(outcome.report.warnings, ["3 of 5 rows find nothing in `weather`"]);
}

#[test]
fn as_of_needs_to_know_both_times() {
    let with = |bench: Bench, integration| bench.refusal(integration);
    let step = || steps("events", vec![Step::AsOf(as_of("weather", &[("place", "place")], None))]);
    let message = with(weather(), step());
    assert!(message.starts_with("integration.known_at: is missing"), "{message}");
    let bench = Bench::new().csv("events", EVENTS).csv("weather", WEATHER);
    let message = with(bench, known(step()));
    assert!(message.starts_with("sources.weather.available: is missing"), "{message}");
}

#[test]
fn a_feature_from_the_future_is_refused_by_name() {
    // Joined by the hour itself, whose weather is complete only at its end.
    let bench = Bench::new()
        .csv("events", "id,place,hour\n1,a,2024-01-01T10:00:00Z\n2,a,2024-01-01T11:00:00Z\n")
        .csv("weather", WEATHER)
        .at("weather", "hour", 3_600);
    let mut integration = steps("events", vec![Step::Join(join("weather", &[("place", "place"), ("hour", "hour")]))]);
    integration.known_at = Some("hour".into());
    let message = bench.refusal(integration.clone());
    assert!(
        message.starts_with("column `temp` comes from `weather`, which by `hour` is not available at the moment of prediction in 2 of 2 rows (by up to 3600 s)"),
        "{message}"
    );
    // Hidden in SQL and under another name, it is found as well.
    integration.steps = vec![
        Step::Sql("SELECT i.*, w.temp * 2 AS warmth FROM input i LEFT JOIN weather w ON i.place = w.place AND i.hour = w.hour".into()),
        derive(&[("feels", "warmth + 1")]),
    ];
    integration.columns = vec!["id".into(), "feels".into()];
    let message = bench.refusal(integration.clone());
    assert!(message.starts_with("column `feels` comes from `weather`"), "{message}");
    // An aggregate forgets when its rows were available.
    integration.steps = vec![Step::Sql(
        "SELECT i.*, m.t AS feels FROM input i LEFT JOIN (SELECT place, MAX(temp) AS t FROM weather GROUP BY place) m ON i.place = m.place".into(),
    )];
    let message = bench.refusal(integration.clone());
    assert!(message.contains("times of availability are lost"), "{message}");
    // An hour later it was known.
    integration.steps = vec![Step::Join(join("weather", &[("place", "place"), ("hour", "hour")]))];
    integration.columns.clear();
    integration.known_at = Some("hour + INTERVAL '1 hour'".into());
    let (_, columns) = bench.run(integration).unwrap();
    assert_eq!(ints(&columns, "temp"), [Some(2), Some(3)]);
}

#[test]
fn a_source_with_times_must_say_when_it_is_known() {
    let bench = Bench::new()
        .csv("events", EVENTS)
        .csv("places", "place,size,since\na,1,2023-01-01\nb,2,2023-01-01\nc,3,2025-01-01\n");
    let mut places = join("places", &[("place", "place")]);
    places.columns = vec!["size".into()];
    let integration = known(steps("events", vec![Step::Join(places)]));
    let message = bench.refusal(integration.clone());
    assert!(
        message.starts_with("column `size` comes from `places`, which has times (`since`) but does not declare when its rows are available"),
        "{message}"
    );
    let sizes = [Some(1), Some(1), Some(2), None, Some(3)];
    let bench = bench.available("places", Availability::Static);
    assert_eq!(ints(&bench.run(integration.clone()).unwrap().1, "size"), sizes);
    // Without any time it can only be reference data.
    let bench = Bench::new().csv("events", EVENTS).csv("places", "place,size\na,1\nb,2\nc,3\n");
    assert_eq!(ints(&bench.run(integration).unwrap().1, "size"), sizes);
}

#[test]
fn outcomes_and_what_is_made_from_them_are_marked() {
    let bench = Bench::new().csv("events", "id,at,delay\n1,2024-01-01T10:00:00Z,20\n2,2024-01-01T11:00:00Z,5\n");
    let mut integration = known(steps("events", vec![derive(&[("late", "delay > 15"), ("next", "id + 1")])]));
    integration.known_after = vec!["delay".into()];
    let (outcome, _) = bench.run(integration.clone()).unwrap();
    let after: Vec<&str> = outcome.report.columns.iter().filter(|c| c.known_after).map(|c| c.name.as_str()).collect();
    assert_eq!(after, ["delay", "late"]);
    integration.known_after = vec!["dellay".into()];
    let message = bench.refusal(integration);
    assert!(message.contains("no column `dellay` (did you mean `delay`?)"), "{message}");
}

#[test]
fn a_join_that_multiplies_is_refused() {
    let bench = Bench::new().csv("events", EVENTS).csv("twice", "place,n\na,1\na,2\nb,3\nc,4\n");
    let integration = steps("events", vec![Step::Join(join("twice", &[("place", "place")]))]);
    let message = bench.refusal(integration);
    assert!(
        message.starts_with("integration.steps[0].join: 2 rows of the table so far match more than one row of `twice`, so the join would multiply them from 5 to 7"),
        "{message}"
    );
    let allowed = Join { allow_multiple: true, ..join("twice", &[("place", "place")]) };
    let (outcome, columns) = bench.run(steps("events", vec![Step::Join(allowed)])).unwrap();
    assert_eq!(ints(&columns, "n"), [Some(1), Some(2), Some(1), Some(2), Some(3), None, Some(4)]);
    assert_eq!((outcome.report.joins[0].multiplied, outcome.report.joins[0].rows_out), (2, 7));
    let mut keys = ints(&columns, "_row_key");
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 7);
    let message = bench.refusal(steps(
        "events",
        vec![Step::Sql("SELECT e.id, t.n FROM events e JOIN twice t ON e.place = t.place".into())],
    ));
    assert!(message.contains("2 rows of the table so far match more than one row of `t`"), "{message}");
}

#[test]
fn a_join_that_misses_or_drops_most_rows_is_refused() {
    let bench = Bench::new().csv("events", EVENTS).csv("some", "place,n\nb,1\n");
    let message = bench.refusal(steps("events", vec![Step::Join(join("some", &[("place", "place")]))]));
    assert!(message.contains("only 1 of 5 rows match `some` (20.0 %), fewer than the 50.0 % asked for"), "{message}");
    let query = "SELECT e.id, s.n FROM events e JOIN some s ON e.place = s.place";
    let message = bench.refusal(steps("events", vec![Step::Sql(query.into())]));
    assert!(message.contains("the join keeps only 1 of 5 rows of `e`"), "{message}");
    let lower = Join { min_matched: Some(0.1), ..join("some", &[("place", "place")]) };
    assert_eq!(ints(&bench.run(steps("events", vec![Step::Join(lower)])).unwrap().1, "n")[2], Some(1));
}

#[test]
fn nulls_match_nothing_and_types_must_agree() {
    let bench = Bench::new().csv("l", "k,x\nNA,1\nq,2\n").csv("r", "k,y\nNA,10\nq,20\n").csv("n", "k,z\n1,1\n");
    let (outcome, columns) = bench.run(steps("l", vec![Step::Join(join("r", &[("k", "k")]))])).unwrap();
    assert_eq!(ints(&columns, "y"), [None, Some(20)]);
    assert_eq!(outcome.report.joins[0].null_keys, 1);
    let message = bench.refusal(steps("l", vec![Step::Join(join("n", &[("k", "k")]))]));
    assert!(message.contains("on[0]: `k` is text and `k` is int: keys must have the same type"), "{message}");
    let message = bench.refusal(steps("l", vec![Step::Join(join("r", &[("k", "kk")]))]));
    assert!(message.contains("no column `kk` (did you mean `k`?)"), "{message}");
}

#[test]
fn columns_taken_need_names_of_their_own() {
    let bench = Bench::new().csv("l", "k,x\na,1\n").csv("r", "k,x\na,2\n");
    let message = bench.refusal(steps("l", vec![Step::Join(join("r", &[("k", "k")]))]));
    assert!(
        message.contains("column `x` of `r` has the name of a column that is already there: set a `prefix`"),
        "{message}"
    );
    let named = Join { prefix: "r_".into(), columns: vec!["x".into()], ..join("r", &[("k", "k")]) };
    let (_, columns) = bench.run(steps("l", vec![Step::Join(named)])).unwrap();
    assert_eq!(ints(&columns, "r_x"), [Some(2)]);
}

#[test]
fn filter_unit_columns_and_key() {
    let bench = Bench::new().csv("events", EVENTS).column("events", "at", "timestamp[America/New_York]");
    let mut integration = Integration::of("events");
    integration.filter = Some("place IN ('a', 'b')".into());
    integration.unit = Some("CAST(at AS DATE)".into());
    integration.columns = vec!["place".into(), "id".into()];
    integration.key = vec!["place".into()];
    let (outcome, columns) = bench.run(integration.clone()).unwrap();
    let names: Vec<String> = columns.fields().into_iter().map(|f| f.name).collect();
    assert_eq!(names, ["place", "id", "_row_key", "_unit"]);
    assert_eq!(texts(&columns, "_unit"), vec![Some("2024-01-01".to_string()); 3]);
    // The row whose place is null is neither in nor not in: excluded, and counted.
    assert_eq!((outcome.report.population_rows, outcome.report.filtered_rows, outcome.report.rows), (5, 2, 3));
    assert_eq!(outcome.report.repeated_keys, 1);
    integration.filter = Some("id > 100".into());
    assert!(bench.refusal(integration.clone()).contains("excludes all 5 rows"));
    integration.filter = Some("id".into());
    assert!(bench.refusal(integration).contains("gives a int, not true or false"));
}

#[test]
fn a_naive_timestamp_is_refused_with_the_remedy() {
    let bench = Bench::new().csv("events", "id,at\n1,2024-01-01 10:00:00\n");
    let message = bench.refusal(Integration::of("events"));
    assert!(
        message.contains("source `events`, column `at` holds timestamps without a time zone")
            && message.contains("at: timestamp[America/New_York]"),
        "{message}"
    );
    let bench = bench.column("events", "at", "timestamp[America/New_York]");
    let mut integration = Integration::of("events");
    integration.unit = Some("CAST(at AS DATE)".into());
    bench.run(integration).unwrap();
}

#[test]
fn keys_of_several_columns() {
    let bench = Bench::new().csv("l", "a,b\n1,x\n1,y\n2,x\n").csv("r", "c,d,v\n2,x,20\n1,y,11\n1,x,10\n");
    let two = Join { source: "r".into(), on: on(&[("a", "c"), ("b", "d")]), ..Join::default() };
    let (_, columns) = bench.run(steps("l", vec![Step::Join(two)])).unwrap();
    assert_eq!(ints(&columns, "v"), [Some(10), Some(11), Some(20)]);
}

#[test]
fn as_of_without_keys_is_one_series() {
    let bench = Bench::new()
        .csv("events", "id,at\n1,2024-01-01T10:00:00Z\n2,2024-01-01T12:00:00Z\n")
        .csv("rates", "t,rate\n2024-01-01T11:00:00Z,2\n2024-01-01T09:00:00Z,1\n")
        .at("rates", "t", 0);
    let (_, columns) = bench.run(known(steps("events", vec![Step::AsOf(as_of("rates", &[], None))]))).unwrap();
    assert_eq!(ints(&columns, "rate"), [Some(1), Some(2)]);
}
