//! Predictions and calendar parts against scikit-learn and zoneinfo.

use gristmill_model::{Model, Transformer, file, proto};
use gristmill_types::{Column, Columns, Values};

use super::build::{self, float, list};

#[test]
fn predictions_are_those_of_scikit_learn() {
    let cases = build::cases();
    let cases = cases["models"].as_array().unwrap();
    assert_eq!(cases.len(), 11);
    for case in cases {
        let model = Model::read(&file::write(&build::message(case))).unwrap();
        let predictions = model.predict(&build::table(case)).unwrap();
        let expected = list(&case["expected"], |row| list(row, float));
        assert_eq!(predictions.rows(), expected.len());
        for (row, expected) in expected.iter().enumerate() {
            let prediction = predictions.row(row).unwrap();
            assert_eq!(prediction.outputs().len(), expected.len(), "{}", case["name"]);
            for (found, expected) in prediction.outputs().iter().zip(expected) {
                let away = (found - expected).abs();
                assert!(away <= 1e-12 * expected.abs().max(1e-3), "{} row {row}: {found} {expected}", case["name"]);
            }
        }
    }
}

#[test]
fn calendar_parts_are_those_of_zoneinfo() {
    use proto::date_part::Part;
    let parts = [
        Part::Year,
        Part::Month,
        Part::Day,
        Part::Weekday,
        Part::Hour,
        Part::Minute,
        Part::DayOfYear,
        Part::MinuteOfDay,
    ];
    for zone in build::cases()["zones"].as_array().unwrap() {
        let table = proto::ZoneTable {
            name: build::text(&zone["name"]),
            first_offset: zone["first_offset"].as_i64().unwrap() as i32,
            at: list(&zone["at"], |v| v.as_i64().unwrap()),
            offset: list(&zone["offset"], |v| v.as_i64().unwrap() as i32),
        };
        let step = |part: &Part| proto::NumericStep {
            name: part.as_str_name().into(),
            step: Some(proto::numeric_step::Step::DatePart(proto::DatePart {
                input: 0,
                part: (*part).into(),
                zone: 1,
            })),
        };
        let name = format!("timestamp[{}]", table.name);
        let transform = proto::Transform {
            numeric: parts.iter().map(step).collect(),
            zones: vec![table],
            ..proto::Transform::default()
        };
        let input = proto::InputColumn { name: "at".into(), r#type: name, ..proto::InputColumn::default() };
        let signature = proto::Signature { inputs: vec![input], ..proto::Signature::default() };
        let transformer = Transformer::compile(&signature, &transform).unwrap();
        let micros = list(&zone["moments"], |v| v.as_i64().unwrap() * 1_000_000 + 999_999);
        let column = Column::new("at", Values::Timestamp { zone: Some("UTC".into()), micros });
        let slots = transformer.transform(&Columns::new(vec![column]).unwrap()).unwrap();
        for (row, expected) in zone["parts"].as_array().unwrap().iter().enumerate() {
            let found: Vec<f32> = slots.numeric.iter().map(|slot| slot[row]).collect();
            assert_eq!(found, list(expected, |v| float(v) as f32), "{} row {row}", zone["name"]);
        }
    }
}
