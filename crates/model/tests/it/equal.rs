//! Rows, columns and batches of any size give the same bits.

use gristmill_model::{Model, Predictions, Scratch, SlotsView, file, proto};
use gristmill_types::{Cell, Column, ColumnType, Columns, Values};
use proptest::prelude::*;

use super::build;

fn bits(predictions: &Predictions) -> Vec<u64> {
    predictions.values.iter().chain(&predictions.probabilities).map(|v| v.to_bits()).collect()
}

#[test]
fn every_predictor_answers_rows_and_batches_alike() {
    for case in build::cases()["models"].as_array().unwrap() {
        let model = Model::read(&file::write(&build::message(case))).unwrap();
        let table = build::table(case);
        let whole = model.predict(&table).unwrap();
        let mut scratch = Scratch::default();
        for row in 0..table.rows() {
            let cells = build::cells(&table, row);
            let one = model.predict_row(&cells, &mut scratch).unwrap();
            assert_eq!(Some(one), whole.row(row), "{} row {row}", case["name"]);
        }
        for size in [1, 3, 7, 8, 9, 17] {
            let rows: Vec<usize> = (0..table.rows()).collect();
            let parts = rows.chunks(size).flat_map(|rows| bits(&model.predict(&table.take(rows)).unwrap()));
            assert_eq!(parts.collect::<Vec<_>>(), bits(&whole), "{} by {size}", case["name"]);
        }
    }
}

#[test]
fn one_scratch_serves_models_in_turn() {
    let models: Vec<_> = ["softmax", "forest", "poisson", "ensemble"]
        .map(|name| (Model::from_proto(build::message(&build::case(name))).unwrap(), build::table(&build::case(name))))
        .into();
    let mut scratch = Scratch::default();
    for row in 0..5 {
        for (model, table) in &models {
            let alone = model.predict(table).unwrap();
            let shared = model.predict_row(&build::cells(table, row), &mut scratch).unwrap();
            assert_eq!(Some(shared), alone.row(row));
        }
    }
}

#[test]
fn slots_may_be_lent_and_unread_ones_left_out() {
    let case = build::case("logistic");
    let model = Model::from_proto(build::message(&case)).unwrap();
    let table = build::table(&case);
    let slots = model.transform_only(&table).unwrap();
    let all: Vec<Option<&[f32]>> = slots.numeric.iter().map(|slot| Some(slot.as_slice())).collect();
    let categories = vec![Some(slots.category[0].as_slice())];
    let without: Vec<_> = all.iter().enumerate().map(|(i, slot)| slot.filter(|_| i % 4 >= 2)).collect();
    let view = SlotsView::new(slots.rows, without, categories.clone()).unwrap();
    assert_eq!(model.scores_from_slots(&view), model.scores_from_slots(&slots.view()));
    let none = SlotsView::new(slots.rows, vec![None; all.len()], categories).unwrap();
    assert!(model.scores_from_slots(&none).unwrap_err().to_string().contains("numeric slot 2 is not there"));
    assert!(SlotsView::new(3, all, vec![]).is_err());
}

/// One column of each type, in each of the types that can be read as it.
fn columns(rows: usize) -> impl Strategy<Value = Vec<Column>> {
    let cell = (any::<bool>(), any::<i64>(), any::<f64>(), -3_i64..20, any::<i32>(), "[a-c]{0,2}");
    prop::collection::vec((cell, prop::bool::weighted(0.2), 0..6_u8), rows).prop_map(|rows| {
        let variant = rows.first().map_or(0, |row| row.2);
        let valid: Vec<bool> = rows.iter().map(|row| !row.1).collect();
        let column = |name: &str, values| Column::with_valid(name, values, valid.clone());
        let ints: Vec<i64> = rows.iter().map(|row| row.0.1).collect();
        let small: Vec<i64> = rows.iter().map(|row| row.0.3).collect();
        let floats: Vec<f64> = rows.iter().map(|row| row.0.2).collect();
        let halves: Vec<f64> = small.iter().map(|v| *v as f64 / 2.0).collect();
        let days: Vec<i32> = rows.iter().map(|row| row.0.4).collect();
        let words = || Column::text("text", rows.iter().map(|row| (!row.1).then_some(row.0.5.as_str())));
        let decimals = |name: &str, scale: u32| {
            column(name, Values::Decimal { scale, unscaled: ints.iter().map(|v| i128::from(*v)).collect() })
        };
        let micros: Vec<i64> = ints.clone();
        vec![
            column("bool", Values::Bool(rows.iter().map(|row| row.0.0).collect())),
            if variant % 2 == 0 {
                column("int", Values::Int(small.clone()))
            } else {
                column("int", Values::Float(small.iter().map(|v| *v as f64).collect()))
            },
            match variant {
                0 => column("float", Values::Int(ints.clone())),
                1 => decimals("float", 3),
                2 => column("float", Values::Float(halves.clone())),
                _ => column("float", Values::Float(floats.clone())),
            },
            if variant % 2 == 0 { decimals("decimal", 2) } else { column("decimal", Values::Int(small.clone())) },
            match variant {
                0 => column("text", Values::Int(small)),
                1 => column("text", Values::Float(halves)),
                2 => column("text", Values::Date(days.clone())),
                3 => decimals("text", 2),
                _ => words(),
            },
            column("date", Values::Date(days)),
            column("at", Values::Timestamp { zone: Some("UTC".into()), micros: micros.clone() }),
            column("wall", Values::Timestamp { zone: None, micros }),
        ]
    })
}

/// Every kind of step over every type of input.
fn kitchen_sink() -> proto::Model {
    use proto::numeric_step::Step as S;
    let types = ["bool", "int", "float", "decimal(2)", "text", "date", "timestamp[X/Y]", "timestamp"];
    let names = ["bool", "int", "float", "decimal", "text", "date", "at", "wall"];
    let inputs = names.iter().zip(types).map(|(name, kind)| proto::InputColumn {
        name: (*name).into(),
        r#type: kind.into(),
        nullable: true,
        ..proto::InputColumn::default()
    });
    let date_part = |input, part, zone| S::DatePart(proto::DatePart { input, part, zone });
    let mut steps: Vec<S> = (0..4).map(|input| S::Number(proto::NumberInput { input })).collect();
    steps.extend((1..=9).flat_map(|part| [date_part(5, part, 0), date_part(6, part, 1), date_part(7, part, 0)]));
    steps.push(S::Elapsed(proto::Elapsed { from_input: 6, to_input: 6 }));
    steps.extend((0..8).map(|category| S::CategoryId(proto::CategoryId { category })));
    let table = (0..7).map(|v| f64::from(v) / 3.0).collect();
    steps.push(S::CategoryTable(proto::CategoryTable { category: 4, values: table }));
    let first = u32::try_from(steps.len()).unwrap();
    for slot in 0..first {
        steps.push(S::Indicator(proto::Indicator { slot }));
        steps.push(S::Clip(proto::Clip { slot, low: -1e6, high: 1e6 }));
        steps.push(S::Impute(proto::Impute { slot: first + slot * 4 + 1, value: 0.25 }));
        steps.push(S::Standardise(proto::Standardise { slot: first + slot * 4 + 2, mean: 0.1, scale: 3.7 }));
    }
    let term = |slot: usize| proto::LinearTerm {
        slot: u32::try_from(slot).unwrap(),
        coefficient: vec![0.1 / (slot + 1) as f64],
    };
    let terms = (0..steps.len()).map(term).collect();
    let category = (0..8).map(|input| proto::CategoryStep {
        name: format!("c{input}"),
        input,
        values: ["true", "5", "a"].map(str::to_owned).into(),
        hash_buckets: if input == 4 { 2 } else { 0 },
    });
    let zone =
        proto::ZoneTable { name: "X/Y".into(), first_offset: -3_600, at: vec![0, 9_000], offset: vec![1_800, 0] };
    proto::Model {
        format_version: 1,
        signature: Some(proto::Signature { inputs: inputs.collect(), ..proto::Signature::default() }),
        transform: Some(proto::Transform {
            numeric: steps.into_iter().map(|step| proto::NumericStep { name: "n".into(), step: Some(step) }).collect(),
            category: category.collect(),
            zones: vec![zone],
            blocks: vec![],
        }),
        predictor: Some(proto::Predictor {
            predictor: Some(proto::predictor::Predictor::Linear(proto::Linear {
                intercept: vec![0.5],
                terms,
                one_hot: vec![proto::OneHotTerm { category: 4, coefficient: vec![0.0, 0.1, 0.2, 0.3] }],
            })),
        }),
        output: Some(proto::Output { task: 1, link: 1, ..proto::Output::default() }),
        ..proto::Model::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_and_columns_are_transformed_to_the_same_bits(columns in (1_usize..12).prop_flat_map(columns)) {
        let model = Model::from_proto(kitchen_sink()).unwrap();
        let table = Columns::new(columns).unwrap();
        let whole = model.predict(&table).unwrap();
        let slots = model.transform_only(&table).unwrap();
        prop_assert!(slots.numeric.iter().flatten().all(|v| !v.is_infinite()));
        prop_assert!(whole.values.iter().all(|v| v.is_finite()));
        let mut scratch = Scratch::default();
        for row in 0..table.rows() {
            let cells = build::cells(&table, row);
            let one = model.predict_row(&cells, &mut scratch).unwrap();
            prop_assert_eq!(one.outputs()[0].to_bits(), whole.values[row].to_bits());
            let alone = model.transform_only(&table.take(&[row])).unwrap();
            for (alone, all) in alone.numeric.iter().zip(&slots.numeric) {
                prop_assert_eq!(alone[0].to_bits(), all[row].to_bits());
            }
        }
        let rows: Vec<usize> = (0..table.rows()).collect();
        let message = proto::Model { example: Some(model.example(&table, &rows).unwrap()), ..kitchen_sink() };
        let with_example = Model::read(&file::write(&message)).unwrap();
        prop_assert_eq!(with_example.check_example(), Ok(()));
    }

    #[test]
    fn walked_trees_agree_with_the_plain_reading(seed in any::<u64>(), nodes in 1_usize..200, rows in 1_usize..40) {
        let (message, values) = random_trees(seed, nodes, rows);
        let model = Model::from_proto(message.clone()).unwrap();
        let columns: Vec<Column> = values.iter().enumerate().map(|(i, v)| {
            Column::new(format!("x{i}"), Values::Float(v.iter().map(|v| f64::from(*v)).collect()))
        }).collect();
        let table = Columns::new(columns).unwrap();
        let found = model.predict(&table).unwrap();
        for row in 0..rows {
            let features: Vec<f32> = values.iter().map(|column| column[row]).collect();
            prop_assert_eq!(found.values[row].to_bits(), plain(&message, &features).to_bits());
        }
    }
}

/// Random trees over three features, with values that often equal thresholds.
fn random_trees(seed: u64, nodes: usize, rows: usize) -> (proto::Model, Vec<Vec<f32>>) {
    let mut state = seed;
    let mut next = move |below: u64| {
        // SplitMix64 (Steele, Lea, Flood, 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    };
    let mut case = build::case("poisson");
    case["inputs"].as_array_mut().unwrap().truncate(3);
    case["numeric"].as_array_mut().unwrap().truncate(3);
    case["output"]["link"] = 1.into();
    case["predictor"] = serde_json::json!({"linear": {"intercept": [0.0], "terms": [], "one_hot": []}});
    let mut message = build::message(&case);
    let trees = (0..11).map(|_| {
        let mut tree = proto::Tree::default();
        let mut open = vec![0];
        let push = |tree: &mut proto::Tree, next: &mut dyn FnMut(u64) -> u64| {
            tree.feature.push(next(3) as u32);
            tree.threshold.push(if next(9) == 0 { f32::INFINITY } else { next(7) as f32 });
            tree.missing_left.push(next(2) == 0);
            tree.value.push(next(1_000) as f64 / 7.0);
            tree.left.push(0);
            tree.right.push(0);
        };
        push(&mut tree, &mut next);
        while tree.left.len() + 2 <= nodes && !open.is_empty() {
            let pick = next(open.len() as u64) as usize;
            let parent: usize = open.swap_remove(pick);
            let child = tree.left.len();
            push(&mut tree, &mut next);
            push(&mut tree, &mut next);
            // Left and right need not be neighbours, nor in this order.
            let (left, right) = if next(2) == 0 { (child, child + 1) } else { (child + 1, child) };
            (tree.left[parent], tree.right[parent]) = (left as u32, right as u32);
            open.extend([child, child + 1]);
        }
        tree
    });
    let trees = proto::TreeEnsemble {
        base_score: vec![0.1],
        feature_slots: vec![0, 1, 2],
        trees: trees.collect(),
        divisor: 3.0,
    };
    message.predictor = Some(proto::Predictor { predictor: Some(proto::predictor::Predictor::Trees(trees)) });
    let mut value = || match next(10) {
        0 | 1 => f32::NAN,
        2 => f32::MAX,
        other => other as f32 - 3.0,
    };
    let values = (0..3).map(|_| (0..rows).map(|_| value()).collect()).collect();
    (message, values)
}

/// The trees as their message reads.
fn plain(message: &proto::Model, features: &[f32]) -> f64 {
    let Some(proto::predictor::Predictor::Trees(trees)) = &message.predictor.as_ref().unwrap().predictor else {
        panic!("trees")
    };
    let leaf = |tree: &proto::Tree| {
        let mut node = 0;
        while tree.left[node] != 0 {
            let value = features[trees.feature_slots[tree.feature[node] as usize] as usize];
            let left = if value.is_nan() { tree.missing_left[node] } else { value < tree.threshold[node] };
            node = if left { tree.left[node] } else { tree.right[node] } as usize;
        }
        tree.value[node]
    };
    trees.base_score[0] + trees.trees.iter().fold(0.0, |sum, tree| sum + leaf(tree)) / trees.divisor
}

#[test]
fn many_features_take_the_wide_nodes_to_the_same_bits() {
    // Over 4,096 (feature, direction) pairs: one stump per feature and direction.
    let count = 2_100;
    let inputs = (0..count).map(|i| serde_json::json!({"name": format!("x{i}"), "type": "float", "nullable": true}));
    let stump = |i: u32, missing_left: bool| {
        serde_json::json!({"output": 0, "feature": [i, 0, 0], "threshold": [0.5, 0.0, 0.0], "left": [1, 0, 0],
            "right": [2, 0, 0], "missing_left": [missing_left, false, false], "value": [0.0, 1.0 / f64::from(i + 3), 2.0]})
    };
    let case = serde_json::json!({
        "inputs": inputs.collect::<Vec<_>>(),
        "numeric": (0..count).map(|i| serde_json::json!({"number": i})).collect::<Vec<_>>(),
        "category": [],
        "predictor": {"trees": {"base_score": [0.0], "feature_slots": (0..count).collect::<Vec<u32>>(), "divisor": 1.0,
            "trees": (0..count).flat_map(|i| [stump(i, true), stump(i, false)]).collect::<Vec<_>>()}},
        "output": {"task": 1, "link": 1, "labels": [], "threshold": 0.0},
    });
    let message = build::message(&case);
    let model = Model::from_proto(message.clone()).unwrap();
    let features: Vec<f32> = (0..count).map(|i| [0.0, 1.0, f32::NAN][i as usize % 3]).collect();
    let cells: Vec<Cell<'_>> = features.iter().map(|v| Cell::Float(f64::from(*v))).collect();
    let mut scratch = Scratch::default();
    let found = model.predict_row(&cells, &mut scratch).unwrap().outputs()[0];
    assert_eq!(found.to_bits(), plain(&message, &features).to_bits());
    assert!(matches!(model.signature().inputs()[0].column_type, ColumnType::Float));
}
