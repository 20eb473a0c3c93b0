//! Profiles against pandas and NumPy (fixtures), every type, and odd columns.

use gristmill_stats::profile::{ColumnProfile, ColumnWarning, Profile, ProfileOptions, Scalar, profile};
use gristmill_types::{Column, Columns, Values};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    columns: Vec<Expected>,
    text: TextCase,
    correlation: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Expected {
    name: String,
    values: Vec<Option<f64>>,
    count: u64,
    missing: u64,
    distinct: u64,
    min: f64,
    max: f64,
    mean: f64,
    std: f64,
    quantiles: Vec<f64>,
    zeros: u64,
    negative: u64,
    histogram: Bins,
}

#[derive(Deserialize)]
struct Bins {
    edges: Vec<f64>,
    counts: Vec<u64>,
}

#[derive(Deserialize)]
struct TextCase {
    values: Vec<String>,
    top: Vec<(String, u64)>,
    length: (u64, f64, u64),
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/profile.json")).unwrap()
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{found} is not {expected}");
}

fn one(column: Column) -> ColumnProfile {
    let table = Columns::new(vec![column]).unwrap();
    profile(&table, &ProfileOptions::default()).columns.remove(0)
}

#[test]
fn numbers_agree_with_pandas_and_numpy() {
    let fixture = fixture();
    let columns: Vec<Column> =
        fixture.columns.iter().map(|c| Column::float(&c.name, c.values.iter().copied())).collect();
    let found = profile(&Columns::new(columns).unwrap(), &ProfileOptions::default());
    for expected in &fixture.columns {
        let column = found.get(&expected.name).unwrap();
        assert_eq!(
            (column.count, column.missing, column.distinct),
            (expected.count, expected.missing, expected.distinct)
        );
        assert_eq!((column.zeros, column.negative), (expected.zeros, expected.negative));
        assert_eq!(
            (column.min.clone(), column.max.clone()),
            (Some(Scalar::Float(expected.min)), Some(Scalar::Float(expected.max)))
        );
        near(column.mean.unwrap(), expected.mean);
        near(column.std.unwrap(), expected.std);
        let q = column.quantiles.unwrap();
        for (found, expected) in [q.p01, q.p05, q.p25, q.p50, q.p75, q.p95, q.p99].into_iter().zip(&expected.quantiles)
        {
            near(found, *expected);
        }
        let histogram = column.histogram.as_ref().unwrap();
        assert_eq!(histogram.counts, expected.histogram.counts, "{}", expected.name);
        assert_eq!(histogram.edges, expected.histogram.edges, "{}", expected.name);
    }
    let correlation = found.correlation.unwrap();
    for (row, expected) in correlation.values.iter().zip(&fixture.correlation) {
        for (found, expected) in row.iter().zip(expected) {
            assert!((found.unwrap() - expected).abs() < 1e-9, "{found:?} is not {expected}");
        }
    }
}

#[test]
fn text_agrees_with_pandas() {
    let case = fixture().text;
    let column = one(Column::text("t", case.values.iter().map(|v| Some(v.as_str()))));
    let mut expected = case.top.clone();
    expected.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let found: Vec<(String, u64)> = column.top.iter().map(|top| (top.value.to_string(), top.count)).collect();
    assert_eq!(found, expected);
    assert_eq!(column.distinct, expected.len() as u64);
    let length = column.length.unwrap();
    assert_eq!((length.min, length.max), (case.length.0, case.length.2));
    near(length.mean, case.length.1);
}

#[test]
fn every_type_has_its_statistics() {
    let flags =
        one(Column::with_valid("b", Values::Bool(vec![true, false, true, false]), vec![true, true, true, false]));
    assert_eq!((flags.count, flags.missing, flags.distinct, flags.zeros), (3, 1, 2, 1));
    near(flags.mean.unwrap(), 2.0 / 3.0);
    assert_eq!(flags.top[0].value, Scalar::Bool(true));

    let whole = one(Column::int("i", [Some(3), None, Some(-1), Some(3), Some(0)]));
    assert_eq!((whole.min.clone(), whole.max.clone()), (Some(Scalar::Int(-1)), Some(Scalar::Int(3))));
    assert_eq!((whole.distinct, whole.zeros, whole.negative), (3, 1, 1));
    assert_eq!((whole.top[0].value.clone(), whole.top[0].count), (Scalar::Int(3), 2));

    let money =
        one(Column::new("d", Values::Decimal { scale: 2, unscaled: vec![1999, 10, 123_456_789_012_345_678_901] }));
    assert_eq!(money.min, Some(Scalar::Float(0.1)));
    assert_eq!(money.max, Some(Scalar::Float(1_234_567_890_123_456_789.01)));

    let day = one(Column::new("day", Values::Date(vec![15_706, -1, 19_782])));
    assert_eq!((day.min, day.max), (Some(Scalar::Text("1969-12-31".into())), Some(Scalar::Text("2024-02-29".into()))));

    let zone = Some("America/New_York".to_owned());
    let moment =
        one(Column::new("t", Values::Timestamp { zone, micros: vec![1_356_998_400_000_000, 1_357_000_000_250_000] }));
    assert_eq!(moment.min, Some(Scalar::Text("2013-01-01T00:00:00Z".into())));
    assert_eq!(moment.max, Some(Scalar::Text("2013-01-01T00:26:40.250000Z".into())));
    let naive = one(Column::new("t", Values::Timestamp { zone: None, micros: vec![-1] }));
    assert_eq!(naive.min, Some(Scalar::Text("1969-12-31T23:59:59.999999".into())));
}

#[test]
fn odd_floats_are_counted_and_kept_out_of_the_moments() {
    let values = vec![1.0, f64::NAN, f64::INFINITY, 3.0, f64::NEG_INFINITY, -0.0, 0.0];
    let column = one(Column::new("x", Values::Float(values)));
    assert_eq!((column.count, column.nan, column.infinite, column.zeros, column.distinct), (7, 1, 2, 2, 5));
    assert_eq!((column.mean, column.max.clone()), (Some(1.0), Some(Scalar::Float(f64::INFINITY))));
    assert_eq!(column.warnings, [ColumnWarning::NanPresent, ColumnWarning::InfinitePresent]);
    let huge = one(Column::new("x", Values::Float(vec![f64::MAX, -f64::MAX, f64::MAX])));
    assert_eq!(huge.histogram, None);
    let json = serde_json::to_string(&column).unwrap();
    assert_eq!(serde_json::from_str::<ColumnProfile>(&json).unwrap(), column);
}

#[test]
fn warnings_name_what_deserves_a_look() {
    let rows = 200;
    let warnings = |column: Column| one(column).warnings;
    assert_eq!(warnings(Column::float("x", vec![None; rows])), [ColumnWarning::Empty]);
    assert_eq!(warnings(Column::int("x", vec![Some(3); rows])), [ColumnWarning::Constant]);
    assert_eq!(warnings(Column::int("x", (0..200).map(Some))), [ColumnWarning::NearUnique]);
    assert_eq!(warnings(Column::float("x", (0..200).map(|n| Some(f64::from(n))))), []);
    let sparse = (0..200).map(|n| (n % 5 == 0).then_some(n % 3));
    assert_eq!(warnings(Column::int("x", sparse)), [ColumnWarning::HighMissing]);
    assert_eq!(warnings(Column::int("x", (0..200).map(|n| Some(i64::from(n > 190))))), [ColumnWarning::MostlyZero]);
    let names: Vec<String> = (0..3_000).map(|n| format!("tail {}", n % 1_500)).collect();
    assert_eq!(warnings(Column::text("x", names.iter().map(|v| Some(v.as_str())))), [ColumnWarning::ManyCategories]);
}

#[test]
fn reserved_columns_stay_out_and_the_target_is_not_correlated() {
    let column = |name: &str| Column::int(name, (0..9).map(Some));
    let table = Columns::new(vec![column("a"), column("_row_key"), column("b"), column("y")]).unwrap();
    let options = ProfileOptions { uncorrelated: vec!["y".into()], ..ProfileOptions::default() };
    let found = profile(&table, &options);
    assert_eq!(found.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a", "b", "y"]);
    let correlation = found.correlation.unwrap();
    assert_eq!(correlation.columns, ["a", "b"]);
    assert!((correlation.values[0][1].unwrap() - 1.0).abs() < 1e-12);
}

#[test]
fn the_same_bytes_at_any_number_of_threads_and_back() {
    let fixture = fixture();
    let columns: Vec<Column> =
        fixture.columns.iter().map(|c| Column::float(&c.name, c.values.iter().copied())).collect();
    let table = Columns::new(columns).unwrap();
    let at = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| serde_json::to_string(&profile(&table, &ProfileOptions::default())).unwrap())
    };
    assert_eq!(at(1), at(3));
    let back: Profile = serde_json::from_str(&at(1)).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), at(1));
}

#[test]
fn an_empty_table_has_a_profile() {
    let found = profile(&Columns::default(), &ProfileOptions::default());
    assert_eq!((found.rows, found.columns.len(), found.correlation), (0, 0, None));
    assert_eq!(one(Column::float("x", [])).warnings, [ColumnWarning::Empty]);
}
