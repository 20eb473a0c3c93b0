//! Drift: distances against SciPy, silence without drift over many seeds, and the shifted columns by name.

use gristmill_stats::drift::{DriftOptions, DriftReport, DriftVerdict, drift, jensen_shannon, psi};
use gristmill_stats::random::{Generator, below, generator, uniform};
use gristmill_stats::special::normal_quantile;
use gristmill_types::{Column, Columns, Values};
use rayon::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
    values: Vec<f64>,
    edges: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    before: Vec<u64>,
    after: Vec<u64>,
    psi: f64,
    jensen_shannon: f64,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/drift.json")).unwrap()
}

#[test]
fn distances_agree_with_numpy_and_scipy() {
    for case in fixture().cases {
        let found = psi(&case.before, &case.after);
        assert!((found - case.psi).abs() < 1e-12 * case.psi.max(1.0), "{found} is not {}", case.psi);
        let found = jensen_shannon(&case.before, &case.after);
        assert!((found - case.jensen_shannon).abs() < 1e-7, "{found} is not {}", case.jensen_shannon);
    }
    assert_eq!((psi(&[3, 0], &[0, 0]), jensen_shannon(&[0, 0], &[1, 2])), (0.0, 0.0));
    assert!((jensen_shannon(&[4, 0], &[0, 9]) - 1.0).abs() < 1e-12);
}

#[test]
fn number_bins_end_at_the_references_quantiles() {
    let fixture = fixture();
    let table = Columns::new(vec![Column::new("x", Values::Float(fixture.values.clone()))]).unwrap();
    let report = drift(&table, &table, &DriftOptions::default());
    let bins = &report.columns[0].bins;
    assert_eq!(bins.len(), 11);
    for (bin, edge) in bins.iter().zip(&fixture.edges) {
        let high: f64 = bin.label.rsplit(' ').next().unwrap().parse().unwrap();
        assert!((high - edge).abs() < 1e-12, "{} does not end at {edge}", bin.label);
    }
    assert_eq!((report.columns[0].psi, report.columns[0].verdict), (Some(0.0), DriftVerdict::Stable));
}

fn normal(generator: &mut Generator) -> f64 {
    normal_quantile(uniform(generator).max(1e-15))
}

/// A zipfian category of `most` values.
fn category(generator: &mut Generator, most: u64) -> String {
    let u = uniform(generator);
    format!("c{}", ((most as f64).powf(u) - 1.0) as u64)
}

/// What a shift does to the rows.
#[derive(Clone, Copy, PartialEq)]
enum Shift {
    None,
    /// `speed` up by 0.6 standard deviations, `place` from other categories, `gust` more often missing.
    Three,
}

/// Days from `first`: rows of one day share an effect, and effects of neighbouring days are alike.
fn days(seed: u64, first: u64, count: u64, rows: u64, shift: Shift) -> Columns {
    let shifted = shift == Shift::Three;
    let mut unit = Vec::new();
    let (mut temp, mut speed, mut gust) = (Vec::new(), Vec::new(), Vec::new());
    let (mut place, mut noise, mut flag, mut late) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut weather = 0.0;
    for day in 0..first + count {
        let g = &mut generator(seed, "day", day);
        weather = 0.7 * weather + 0.4 * normal(g);
        if day < first {
            continue;
        }
        for _ in 0..rows {
            unit.push(format!("2013-{:02}-{:02}", day / 28 + 1, day % 28 + 1));
            temp.push(Some(10.0 + 3.0 * weather + normal(g)));
            speed.push(Some(normal(g) + if shifted { 0.6 } else { 0.0 }));
            let present = uniform(g) < if shifted { 0.3 } else { 0.7 };
            gust.push(present.then(|| normal(g).abs() + 0.3 * weather));
            place.push(if shifted && uniform(g) < 0.25 { "elsewhere".into() } else { category(g, 100) });
            noise.push(Some(below(g, 7) as i64));
            flag.push(uniform(g) < 0.1);
            late.push(Some(10.0 * uniform(g)));
        }
    }
    Columns::new(vec![
        Column::text("_unit", unit.iter().map(|v| Some(v.as_str()))),
        Column::float("temp", temp),
        Column::float("speed", speed),
        Column::float("gust", gust),
        Column::text("place", place.iter().map(|v| Some(v.as_str()))),
        Column::int("noise", noise),
        Column::new("flag", Values::Bool(flag)),
        Column::float("late", late),
    ])
    .unwrap()
}

fn options(seed: u64) -> DriftOptions {
    let exclude = [("late".to_owned(), "the target".to_owned())].into();
    DriftOptions { seed, exclude, resamples: 500, ..DriftOptions::default() }
}

/// Reports of `repetitions` seeds over the window of `count` days with `rows` rows each after the reference.
fn repeat(repetitions: u64, count: u64, rows: u64, shift: Shift) -> Vec<DriftReport> {
    (0..repetitions)
        .into_par_iter()
        .map(|seed| {
            let reference = days(seed, 0, 120, 60, Shift::None);
            drift(&reference, &days(seed, 120, count, rows, shift), &options(seed))
        })
        .collect()
}

#[test]
fn stable_windows_raise_few_alarms_as_promised() {
    // 2 % of windows may have any drifted column: 60 repetitions then exceed 5 alarms with chance 0.0015.
    // Fewer rows per day than the reference, as many, and more; one day of few rows is not judged.
    for (count, rows) in [(14, 60), (7, 25), (5, 200)] {
        let reports = repeat(60, count, rows, Shift::None);
        let alarms: Vec<Vec<&str>> = reports.iter().map(DriftReport::drifted).filter(|d| !d.is_empty()).collect();
        println!("{count} days of {rows} rows: {} alarms in 60 windows: {alarms:?}", alarms.len());
        assert!(alarms.len() <= 5, "{alarms:?}");
        assert!(reports.iter().all(|report| report.verdict != DriftVerdict::Insufficient));
    }
}

#[test]
fn a_shift_names_exactly_the_shifted_columns() {
    let reports = repeat(40, 14, 60, Shift::Three);
    let exact = reports.iter().filter(|r| r.drifted() == ["speed", "gust", "place"]).count();
    let others: Vec<Vec<&str>> =
        reports.iter().map(DriftReport::drifted).filter(|d| *d != ["speed", "gust", "place"]).collect();
    println!("named exactly in {exact} of 40 windows, others {others:?}");
    assert!(exact >= 38, "{exact} of 40");
    let report = &reports[0];
    let place = report.get("place").unwrap();
    assert!((place.new_values - 0.25).abs() < 0.05, "{}", place.new_values);
    let gust = report.get("gust").unwrap();
    assert!((gust.live_missing - gust.reference_missing - 0.4).abs() < 0.06);
    assert_eq!(report.get("late").unwrap().reason.as_deref(), Some("the target"));
    assert!(place.psi.unwrap() > place.threshold.unwrap());
    assert!(place.jensen_shannon.unwrap() > place.jensen_shannon_threshold.unwrap());
}

#[test]
fn independent_rows_of_many_categories_are_no_alarm_in_small_windows() {
    // 300 rows of about 100 categories: the customary threshold of 0.1 is exceeded by chance every time.
    let table = |seed: u64, rows: usize| {
        let g = &mut generator(seed, "rows", rows as u64);
        let names: Vec<String> = (0..rows).map(|_| format!("d{}", below(g, 95))).collect();
        let x = (0..rows).map(|_| Some(normal(g)));
        let x = Column::float("x", x.collect::<Vec<_>>());
        Columns::new(vec![Column::text("dest", names.iter().map(|v| Some(v.as_str()))), x]).unwrap()
    };
    let reports: Vec<DriftReport> =
        (0..60).into_par_iter().map(|seed| drift(&table(seed, 20_000), &table(seed, 300), &options(seed))).collect();
    let above = reports.iter().filter(|r| r.get("dest").unwrap().psi.unwrap() > 0.1).count();
    let alarms = reports.iter().filter(|r| r.verdict == DriftVerdict::Drifted).count();
    println!("PSI above 0.1 in {above} of 60 windows, {alarms} alarms");
    assert!(above >= 55, "{above}");
    assert!(alarms <= 4, "{alarms}");
}

#[test]
fn too_little_data_is_a_verdict_of_its_own() {
    let reference = days(1, 0, 120, 60, Shift::None);
    let few = drift(&reference, &days(1, 120, 1, 40, Shift::None), &options(1));
    assert_eq!(
        (few.verdict, few.reason.as_deref()),
        (DriftVerdict::Insufficient, Some("not enough data: 40 live rows, at least 100 are needed"))
    );
    assert!(few.columns.iter().all(|c| matches!(c.verdict, DriftVerdict::Insufficient | DriftVerdict::Excluded)));
    assert!(few.get("speed").unwrap().psi.is_some());
    let short = drift(&days(1, 0, 20, 60, Shift::None), &days(1, 20, 5, 60, Shift::None), &options(1));
    assert_eq!(short.verdict, DriftVerdict::Insufficient);
    assert!(short.reason.unwrap().contains("20 units of dependence in the reference, at least 30"));
    let none = drift(&reference, &Columns::default(), &options(1));
    assert_eq!(
        (none.verdict, none.get("speed").unwrap().verdict),
        (DriftVerdict::Insufficient, DriftVerdict::Excluded)
    );
}

#[test]
fn columns_that_cannot_be_compared_say_why() {
    let rows = 400;
    let int = |name: &str| Column::int(name, (0..rows).map(|n| Some(n % 50)));
    let text = |name: &str| Column::text(name, (0..rows).map(|_| Some("a")));
    let when = Column::new("when", Values::Timestamp { zone: None, micros: (0..rows).collect() });
    let reference = Columns::new(vec![int("a"), int("b"), int("c"), when, int("d")]).unwrap();
    let empty = Column::text("d", (0..rows).map(|_| None));
    let float = Column::float("c", (0..rows).map(|n| Some((n % 50) as f64)));
    let live = Columns::new(vec![text("a"), float, empty]).unwrap();
    let report = drift(&reference, &live, &DriftOptions::default());
    let reason = |name| report.get(name).unwrap().reason.clone().unwrap_or_default();
    assert_eq!(reason("a"), "the type changed from int to text");
    assert_eq!(reason("b"), "not among the live columns");
    assert_eq!(reason("when"), "a moment moves with time");
    assert_eq!(report.get("c").unwrap().verdict, DriftVerdict::Stable);
    let gone = report.get("d").unwrap();
    assert_eq!((gone.verdict, gone.live_missing), (DriftVerdict::Drifted, 1.0));
}

#[test]
fn a_column_that_tells_the_time_is_not_compared() {
    let reference = days(3, 0, 80, 20, Shift::None);
    let live = days(3, 80, 10, 20, Shift::None);
    let month = |table: &Columns, from: i64| {
        let mut columns = table.clone().into_columns();
        columns.push(Column::int("month", (0..table.rows() as i64).map(|row| Some((from + row / 20) / 28 + 1))));
        columns.push(Column::int("day", (0..table.rows() as i64).map(|row| Some((from + row / 20) % 28))));
        Columns::new(columns).unwrap()
    };
    let report = drift(&month(&reference, 0), &month(&live, 80), &options(3));
    let month = report.get("month").unwrap();
    assert_eq!(month.verdict, DriftVerdict::Excluded);
    assert!(month.reason.as_deref().unwrap().starts_with("follows the order of the days (rank correlation 0.9"));
    assert_eq!(report.get("day").unwrap().verdict, DriftVerdict::Stable);
    assert_eq!(report.get("temp").unwrap().verdict, DriftVerdict::Stable);
}

#[test]
fn the_same_bytes_at_any_number_of_threads_and_back() {
    let reference = days(5, 0, 60, 40, Shift::None);
    let live = days(5, 60, 6, 30, Shift::Three);
    let at = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| serde_json::to_string(&drift(&reference, &live, &options(9))).unwrap())
    };
    assert_eq!(at(1), at(3));
    let back: DriftReport = serde_json::from_str(&at(1)).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), at(1));
}
