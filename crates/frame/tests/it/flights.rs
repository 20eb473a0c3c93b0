//! The flights and their traps, with the numbers that pandas 3.1.1 gives (`fixtures/flights.py`).

use gristmill_frame::{Availability, Integration, Join, Step};
use gristmill_types::{Cell, Columns};

use super::bench::{Bench, as_of, derive, join, steps};

fn flights() -> Bench {
    Bench::new()
        .flights_file("flights", "flights.parquet")
        .column("flights", "time_hour", "timestamp[America/New_York] from UTC")
        .flights_file("weather", "weather.csv")
        .at("weather", "time_hour", 3_600)
        .flights_file("planes", "planes.csv")
        .available("planes", Availability::Static)
        .flights_file("airports", "airports.csv")
        .available("airports", Availability::Static)
}

fn sum(columns: &Columns, name: &str) -> (f64, usize) {
    let column = columns.get(name).unwrap();
    let values = (0..column.len()).filter_map(|row| match column.cell(row) {
        Cell::Float(value) => Some(value),
        Cell::Int(value) => Some(value as f64),
        _ => None,
    });
    (values.clone().sum(), values.count())
}

const KNOWN_AT: &str = "time_hour + minute * INTERVAL '1 minute' - INTERVAL '2 hours'";

#[test]
fn five_sources_one_question() {
    let mut weather = as_of("weather", &[("origin", "origin")], Some(3 * 3_600));
    weather.columns = vec!["temp".into(), "wind_gust".into()];
    let planes = Join {
        columns: vec!["year".into(), "seats".into()],
        prefix: "plane_".into(),
        ..join("planes", &[("tailnum", "tailnum")])
    };
    let airports = Join { columns: vec!["lat".into()], ..join("airports", &[("dest", "faa")]) };
    let mut integration = steps(
        "flights",
        vec![Step::AsOf(weather), Step::Join(planes), Step::Join(airports), derive(&[("late", "arr_delay > 15")])],
    );
    integration.known_at = Some(KNOWN_AT.into());
    integration.known_after = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"].map(String::from).into();
    integration.filter = Some("arr_delay IS NOT NULL".into());
    integration.unit = Some("CAST(time_hour AS DATE)".into());
    let (outcome, columns) = flights().run(integration).unwrap();
    let report = outcome.report;
    assert_eq!((report.population_rows, report.filtered_rows, report.rows), (336_776, 9_430, 327_346));
    let matched: Vec<(u64, u64, u64)> = report.joins.iter().map(|j| (j.rows_in, j.matched, j.multiplied)).collect();
    // Weather as of two hours before, planes 84.4 %, and four destinations that are no airports.
    assert_eq!(matched, [(336_776, 336_000, 0), (336_776, 284_170, 0), (336_776, 329_174, 0)]);
    assert_eq!(report.joins[1].null_keys, 2_512);
    assert!((sum(&columns, "temp").0 - 18_337_414.1).abs() < 0.01);
    let after: Vec<&str> = report.columns.iter().filter(|c| c.known_after).map(|c| c.name.as_str()).collect();
    assert_eq!(after, ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "late"]);
    let mut days = super::bench::texts(&columns, "_unit");
    days.sort();
    days.dedup();
    assert_eq!((days.len(), days[0].as_deref()), (365, Some("2013-01-01")));
    let mut keys = super::bench::ints(&columns, "_row_key");
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 327_346);
}

#[test]
fn weather_ends_a_day_before_the_year() {
    let query = "SELECT i.month, COUNT(*) AS n, COUNT(w.origin) AS found FROM flights i LEFT JOIN weather w ON i.origin = w.origin AND i.time_hour = w.time_hour GROUP BY i.month";
    let (_, columns) = flights()
        .column("weather", "time_hour", "timestamp[America/New_York]")
        .run(steps("flights", vec![Step::Sql(query.into())]))
        .unwrap();
    let row = super::bench::ints(&columns, "month").iter().position(|month| *month == Some(12)).unwrap();
    let at = |name: &str| super::bench::ints(&columns, name)[row].unwrap();
    assert_eq!((at("found"), at("n")), (27_203, 28_135));
}

#[test]
fn the_departures_own_hour_is_a_leak() {
    let mut integration = steps(
        "flights",
        vec![Step::Join(Join {
            columns: vec!["temp".into()],
            ..join("weather", &[("origin", "origin"), ("time_hour", "time_hour")])
        })],
    );
    integration.known_at = Some(KNOWN_AT.into());
    let message = flights().refusal(integration);
    assert!(
        message.starts_with("column `temp` comes from `weather`, which by `time_hour` is not available"),
        "{message}"
    );
}

#[test]
fn naive_hours_of_the_parquet_file_need_their_zone() {
    let bench = Bench::new().flights_file("flights", "flights.parquet");
    let message = bench.refusal(Integration::of("flights"));
    assert!(message.contains("column `time_hour` holds timestamps without a time zone"), "{message}");
}

#[test]
fn weather_by_place_alone_multiplies() {
    let mut integration = steps("flights", vec![Step::Join(join("weather", &[("origin", "origin")]))]);
    integration.known_at = Some(KNOWN_AT.into());
    let message = flights().refusal(integration);
    assert!(message.contains("336776 rows of the table so far match more than one row of `weather`"), "{message}");
    // The local weather key repeats three times, where clocks go back.
    let query =
        "SELECT SUM(n - 1) AS again FROM (SELECT COUNT(*) AS n FROM weather GROUP BY origin, year, month, day, hour) t";
    let (_, columns) = flights().run(steps("flights", vec![Step::Sql(query.into())])).unwrap();
    assert_eq!(super::bench::ints(&columns, "again"), [Some(3)]);
}
