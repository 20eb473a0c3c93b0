//! Schemas: inferred from a table, silent on it, and one anomaly per kind of damage.

use gristmill_stats::profile::{ProfileOptions, profile};
use gristmill_stats::schema::{AnomalyKind, Bounds, InferOptions, Schema, Severity, infer, validate};
use gristmill_types::{Column, ColumnType, Columns, Values};

const ORIGINS: [&str; 3] = ["EWR", "JFK", "LGA"];

fn table() -> Columns {
    let rows = 300_i64;
    Columns::new(vec![
        Column::text("origin", (0..rows).map(|n| Some(ORIGINS[n as usize % 3]))),
        Column::int("distance", (0..rows).map(|n| Some(100 + n))),
        Column::float("share", (0..rows).map(|n| Some(n as f64 / 300.0))),
        Column::float("gust", (0..rows).map(|n| (n % 4 == 0).then_some(n as f64))),
        Column::new("day", Values::Date((0..300).collect())),
    ])
    .unwrap()
}

fn schema() -> Schema {
    infer(&profile(&table(), &ProfileOptions::default()), &InferOptions::default())
}

/// The table with column `name` replaced (or dropped).
fn with(name: &str, column: Option<Column>) -> Columns {
    let mut columns: Vec<Column> = table().into_columns();
    columns.retain(|c| c.name != name);
    columns.extend(column);
    Columns::new(columns).unwrap()
}

fn kinds(table: &Columns, schema: &Schema) -> Vec<(AnomalyKind, Option<String>)> {
    validate(table, schema).anomalies.into_iter().map(|a| (a.kind, a.column)).collect()
}

fn single(column: Column) -> gristmill_stats::schema::Anomaly {
    let name = column.name.clone();
    let mut found = validate(&with(&name, Some(column)), &schema()).anomalies;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].column.as_deref(), Some(name.as_str()));
    found.remove(0)
}

#[test]
fn a_schema_is_inferred_and_silent_on_its_own_table() {
    let schema = schema();
    let origin = schema.get("origin").unwrap();
    assert_eq!(origin.domain.as_deref().unwrap(), ORIGINS);
    assert_eq!((origin.min_present, origin.required), (1.0, true));
    let distance = schema.get("distance").unwrap();
    assert_eq!((distance.min, distance.max), (Some(0.0), Some(399.0 + 149.5)));
    assert_eq!(schema.get("share").unwrap().max, Some(1.0));
    // A quarter is present: three quarters missing, twice that is more than all.
    assert_eq!(schema.get("gust").unwrap().min_present, 0.0);
    assert_eq!(schema.get("day").unwrap().column_type, ColumnType::Date);
    assert_eq!(validate(&table(), &schema).anomalies, []);
    assert_eq!(validate(&table(), &schema).worst(), None);
}

#[test]
fn columns_that_go_come_or_change_are_named() {
    let schema = schema();
    assert_eq!(kinds(&with("distance", None), &schema), [(AnomalyKind::ColumnMissing, Some("distance".into()))]);
    assert_eq!(kinds(&with("distance", None), &schema.clone().optional(&["distance"])), []);
    let mut more = table().into_columns();
    more.push(Column::int("new", (0..300).map(Some)));
    more.push(Column::int("_row_key", (0..300).map(Some)));
    let more = Columns::new(more).unwrap();
    assert_eq!(kinds(&more, &schema), [(AnomalyKind::NewColumn, Some("new".into()))]);
    assert_eq!(kinds(&more, &Schema { allow_new_columns: true, ..schema }), []);

    let words: Vec<String> = (0..300).map(|n| if n % 100 == 0 { "n/a".into() } else { n.to_string() }).collect();
    let changed = single(Column::text("distance", words.iter().map(|w| Some(w.as_str()))));
    assert_eq!((changed.kind, changed.severity, changed.rows), (AnomalyKind::TypeChanged, Severity::Error, 3));
    assert_eq!(changed.examples, ["n/a"]);
    assert!(
        changed.long.contains("text where int is expected: 3 values are not numbers, such as `n/a`"),
        "{}",
        changed.long
    );
}

#[test]
fn whole_floats_are_integers_and_empty_columns_have_no_type() {
    let float = Column::float("distance", (0..300).map(|n| (n > 0).then_some(f64::from(100 + n))));
    assert_eq!(single(float).kind, AnomalyKind::PresenceTooLow);
    assert_eq!(
        single(Column::float("distance", (0..300).map(|n| Some(f64::from(n) + 0.5)))).kind,
        AnomalyKind::TypeChanged
    );
    let empty = single(Column::text("distance", (0..300).map(|_| None)));
    assert_eq!((empty.kind, empty.severity, empty.rows), (AnomalyKind::ColumnEmpty, Severity::Error, 300));
    assert_eq!(single(Column::text("gust", (0..300).map(|_| None))).severity, Severity::Warning);
}

#[test]
fn values_outside_of_the_domain_are_shown() {
    let odd = single(Column::text(
        "origin",
        (0..300).map(|n| {
            Some(if n < 7 {
                "SFO"
            } else if n == 7 {
                "<b>"
            } else {
                "EWR"
            })
        }),
    ));
    assert_eq!((odd.kind, odd.rows), (AnomalyKind::UnexpectedValues, 8));
    assert_eq!(odd.examples, ["SFO", "<b>"]);
    let low = single(Column::int("distance", (0..300).map(|n| Some(if n < 2 { -5 - n } else { 100 + n }))));
    assert_eq!((low.kind, low.rows, low.examples), (AnomalyKind::BelowDomain, 2, vec!["-6".to_owned()]));
    let high = single(Column::float("share", (0..300).map(|n| Some(if n == 9 { 1.25 } else { 0.5 }))));
    assert_eq!((high.kind, high.rows, high.short.as_str()), (AnomalyKind::AboveDomain, 1, "values above 1"));
}

#[test]
fn missing_nan_and_infinite_values_are_errors_where_there_were_none() {
    let gone = single(Column::int("distance", (0..300).map(|n| (n != 5).then_some(100 + n))));
    assert_eq!((gone.kind, gone.severity, gone.rows), (AnomalyKind::PresenceTooLow, Severity::Error, 1));
    let nan = single(Column::float("share", (0..300).map(|n| Some(if n == 1 { f64::NAN } else { 0.5 }))));
    assert_eq!(nan.kind, AnomalyKind::NanPresent);
    let values = (0..300).map(|n| Some(if n == 1 { f64::NEG_INFINITY } else { 0.5 }));
    assert_eq!(single(Column::float("share", values)).kind, AnomalyKind::InfinitePresent);
}

#[test]
fn numbers_of_rows_and_of_values_are_bounded() {
    let rows = |min, max| schema().with_rows(Bounds { min, max });
    assert_eq!(kinds(&table(), &rows(Some(301), None)), [(AnomalyKind::RowsTooFew, None)]);
    assert_eq!(kinds(&table(), &rows(Some(1), Some(299))), [(AnomalyKind::RowsTooMany, None)]);
    let distinct = |bounds| {
        let mut schema = schema();
        schema.columns[0].distinct = bounds;
        kinds(&table(), &schema)
    };
    let origin = Some("origin".to_owned());
    assert_eq!(distinct(Bounds { min: Some(4), max: None }), [(AnomalyKind::TooFewDistinct, origin.clone())]);
    assert_eq!(distinct(Bounds { min: None, max: Some(2) }), [(AnomalyKind::TooManyDistinct, origin)]);
    assert_eq!(distinct(Bounds { min: Some(3), max: Some(3) }), []);
}

#[test]
fn a_schema_is_written_and_read_and_unknown_keys_are_refused() {
    let json = serde_json::to_string(&schema()).unwrap();
    assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema());
    let short: Schema = serde_json::from_str(r#"{"columns":[{"name":"a","type":"int"}]}"#).unwrap();
    assert!(short.columns[0].required && short.version == 1);
    let error = serde_json::from_str::<Schema>(r#"{"columns":[],"rowz":{}}"#).unwrap_err().to_string();
    assert!(error.contains("unknown field `rowz`"), "{error}");
}
