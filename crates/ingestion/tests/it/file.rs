//! One file without a job.

use gristmill_frame::SourceSpec;
use gristmill_ingestion::{profile_file, validate_file};
use gristmill_stats::schema::{InferOptions, infer};

use super::bench::example;

#[test]
fn a_profile_has_the_numbers_of_pandas() {
    let profile = profile_file(&example("weather.csv"), "weather.csv", &SourceSpec::default()).unwrap();
    assert_eq!(profile.rows, 26_115);
    // pandas 3.1.1: weather.pressure.isna().mean(), wind_gust.isna().mean(), temp.mean()
    let column = |name: &str| profile.get(name).unwrap();
    assert_eq!(column("pressure").missing, 2_729);
    assert_eq!(column("wind_gust").missing, 20_778);
    assert_eq!(column("origin").distinct, 3);
    // Naive hours are shown, not refused.
    let flights = profile_file(&example("flights.parquet"), "flights.parquet", &SourceSpec::default()).unwrap();
    assert_eq!(flights.rows, 336_776);
    assert_eq!(flights.get("arr_delay").unwrap().missing, 9_430);
    assert_eq!(flights.get("time_hour").unwrap().column_type.to_string(), "timestamp");
}

#[test]
fn a_file_is_held_against_a_schema() {
    let planes = profile_file(&example("planes.csv"), "planes.csv", &SourceSpec::default()).unwrap();
    let schema = infer(&planes, &InferOptions::default());
    let same = validate_file(&example("planes.csv"), "planes.csv", &SourceSpec::default(), &schema).unwrap();
    assert_eq!(same.anomalies, []);
    let other = validate_file(&example("airlines.csv"), "airlines.csv", &SourceSpec::default(), &schema).unwrap();
    assert!(other.worst().is_some());
}
