//! Bytes and messages that mean no model are refused, and nothing panics.

use gristmill_model::{Model, ModelError, Scratch, Transformer, file, proto};
use gristmill_types::{Cell, Digest};
use proptest::prelude::*;

use super::build;

fn real() -> &'static [Vec<u8>] {
    static FILES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    FILES.get_or_init(make)
}

fn make() -> Vec<Vec<u8>> {
    ["logistic", "naive_bayes", "histogram_boosting", "ensemble", "isotonic"]
        .iter()
        .map(|name| {
            let case = build::case(name);
            let mut message = build::message(&case);
            let model = Model::from_proto(message.clone()).unwrap();
            message.example = Some(model.example(&build::table(&case), &[0, 1, 2]).unwrap());
            file::write(&message)
        })
        .collect()
}

/// Writes the digest that the bytes before it have, and the length they have.
fn fix_up(bytes: &mut [u8]) {
    let body = bytes.len().saturating_sub(32);
    if body >= 20 {
        let length = (body - 20) as u64;
        bytes[12..20].copy_from_slice(&length.to_le_bytes());
        let digest = *Digest::of(&bytes[..body]).as_bytes();
        bytes[body..].copy_from_slice(&digest);
    }
}

/// Reads, and if it is a model still, uses it.
fn use_it(bytes: &[u8]) {
    let _ = Transformer::read(bytes);
    if let Ok(model) = Model::read(bytes) {
        let _ = model.check_example();
        let missing = vec![Cell::Missing; model.signature().inputs().len()];
        let mut scratch = Scratch::default();
        let prediction = model.predict_row(&missing, &mut scratch).unwrap();
        assert!(prediction.outputs().iter().all(|output| output.is_finite()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Model::read(&bytes).is_err());
        let mut framed = file::write(&proto::Model::default());
        framed.splice(20..20, bytes);
        fix_up(&mut framed);
        use_it(&framed);
    }

    #[test]
    fn mutated_files_never_panic(which in 0_usize..5, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..6)) {
        let original = &real()[which];
        let mut bytes = original.clone();
        for (at, value, how) in edits {
            let at = 20 + at.index(bytes.len() - 52);
            match how {
                0 => bytes[at] = value,
                1 => bytes[at] ^= 1 << (value % 8),
                2 => { bytes.remove(at); }
                _ => bytes.insert(at, value),
            }
        }
        prop_assert!(&bytes == original || Model::read(&bytes).is_err(), "the digest catches every change");
        fix_up(&mut bytes);
        use_it(&bytes);
    }

    #[test]
    fn cut_files_are_refused(which in 0_usize..5, at in any::<prop::sample::Index>()) {
        let mut bytes = real()[which].clone();
        bytes.truncate(at.index(bytes.len()));
        prop_assert!(Model::read(&bytes).is_err());
        fix_up(&mut bytes);
        use_it(&bytes);
    }
}

#[test]
fn the_frame_says_what_is_wrong() {
    let bytes = real()[0].clone();
    assert_eq!(Model::read(&bytes).unwrap().digest(), Digest::of(&bytes));
    assert_eq!(Model::read(b"PK\x03\x04").unwrap_err(), ModelError::Magic);
    assert_eq!(Model::read(&bytes[..19]).unwrap_err(), ModelError::Length { found: 19, expected: 52 });
    let found = bytes.len() as u64 - 1;
    assert_eq!(Model::read(&bytes[..bytes.len() - 1]).unwrap_err(), ModelError::Length { found, expected: found + 1 });
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(Model::read(&longer).unwrap_err(), ModelError::Length { .. }));
    let mut newer = bytes.clone();
    newer[8] = 9;
    assert_eq!(Model::read(&newer).unwrap_err(), ModelError::Version { what: "frame", found: 9, known: 1 });
    let mut damaged = bytes.clone();
    damaged[100] ^= 1;
    assert_eq!(Model::read(&damaged).unwrap_err(), ModelError::Digest);
    assert!(matches!(Model::read_bounded(&bytes, 100).unwrap_err(), ModelError::TooLarge { limit: 100, .. }));
    let message = proto::Model { format_version: 7, ..proto::Model::default() };
    let refused = Model::from_proto(message).unwrap_err();
    assert_eq!(refused, ModelError::Version { what: "message", found: 7, known: 1 });
}

/// Applies `change` to a valid message and returns the reason it is refused for.
fn refusal(name: &str, change: impl FnOnce(&mut proto::Model)) -> String {
    let mut message = build::message(&build::case(name));
    change(&mut message);
    Model::from_proto(message).expect_err("the change makes it invalid").to_string()
}

fn trees(message: &mut proto::Model) -> &mut proto::TreeEnsemble {
    match message.predictor.as_mut().unwrap().predictor.as_mut().unwrap() {
        proto::predictor::Predictor::Trees(trees) => trees,
        _ => panic!("trees"),
    }
}

#[test]
fn trees_that_are_no_trees_are_refused() {
    type Change = fn(&mut proto::TreeEnsemble);
    let table: [(&str, Change); 13] = [
        ("children come after their parent", |t| t.trees[0].left[1] = 1),
        ("children come after their parent", |t| t.trees[0].right[0] = u32::MAX),
        ("children come after their parent", |t| t.trees[0].left[0] = 0),
        ("two parents", |t| t.trees[0].left[0] = t.trees[0].right[0]),
        ("no path reaches", |t| {
            t.trees[0].left[0] = 0;
            t.trees[0].right[0] = 0;
        }),
        ("arrays of different lengths", |t| t.trees[0].value.truncate(2)),
        ("arrays of different lengths", |t| t.trees[0].cover = vec![1.0]),
        ("nodes, allowed are", |t| t.trees[0] = proto::Tree::default()),
        ("reads feature 9", |t| t.trees[0].feature[0] = 9),
        ("not a number above", |t| t.trees[0].threshold[0] = f32::NAN),
        ("whose value is not a number", |t| *t.trees[0].value.last_mut().unwrap() = f64::INFINITY),
        ("adds to output 3", |t| t.trees[0].output = 3),
        ("positive divisor", |t| t.divisor = 0.0),
    ];
    for (expected, change) in table {
        let reason = refusal("histogram_regression", |message| change(trees(message)));
        assert!(reason.contains(expected), "{reason} should say {expected}");
    }
    let reason = refusal("histogram_regression", |message| trees(message).feature_slots[0] = 99);
    assert!(reason.contains("numeric slot 99"), "{reason}");
}

#[test]
fn steps_signatures_and_outputs_that_mean_nothing_are_refused() {
    use proto::numeric_step::Step;
    type Change = fn(&mut proto::Model);
    let table: [(&str, Change); 16] = [
        ("repeats the name `x1`", |m| m.signature.as_mut().unwrap().inputs[0].name = "x1".into()),
        ("that of the target", |m| m.signature.as_mut().unwrap().target = "x0".into()),
        ("is not a column type", |m| m.signature.as_mut().unwrap().inputs[0].r#type = "float32".into()),
        ("range without values", |m| m.signature.as_mut().unwrap().inputs[0].min = Some(f64::NAN)),
        ("does not come before it", |m| {
            m.transform.as_mut().unwrap().numeric[1].step = Some(Step::Indicator(proto::Indicator { slot: 1 }));
        }),
        ("reads input 77", |m| {
            m.transform.as_mut().unwrap().numeric[0].step = Some(Step::Number(proto::NumberInput { input: 77 }));
        }),
        ("needs a number or boolean, `colour` is text", |m| {
            m.transform.as_mut().unwrap().numeric[0].step = Some(Step::Number(proto::NumberInput { input: 4 }));
        }),
        ("positive, finite scale", |m| {
            let step = proto::Standardise { slot: 0, mean: 0.0, scale: 0.0 };
            m.transform.as_mut().unwrap().numeric[2].step = Some(Step::Standardise(step));
        }),
        ("values for 5 category ids", |m| {
            let step = proto::CategoryTable { category: 0, values: vec![0.0; 4] };
            m.transform.as_mut().unwrap().numeric[2].step = Some(Step::CategoryTable(step));
        }),
        ("repeats the value `red`", |m| m.transform.as_mut().unwrap().category[0].values[1] = "red".into()),
        ("transitions out of order", |m| {
            let zone = proto::ZoneTable { at: vec![5, 5], offset: vec![0, 0], ..proto::ZoneTable::default() };
            m.transform.as_mut().unwrap().zones.push(zone);
        }),
        ("a slot that is not there", |m| {
            let block = proto::Block { name: "b".into(), kind: 1, slots: vec![1_000] };
            m.transform.as_mut().unwrap().blocks.push(block);
        }),
        ("labels", |m| m.output.as_mut().unwrap().labels[0] = "yes".into()),
        ("threshold", |m| m.output.as_mut().unwrap().threshold = 1.5),
        ("cannot turn 1 scores by Softmax", |m| m.output.as_mut().unwrap().link = 3),
        ("baseline", |m| m.baseline = Some(proto::Baseline { train: "xyz".into(), ..proto::Baseline::default() })),
    ];
    for (expected, change) in table {
        let reason = refusal("logistic", change);
        assert!(reason.contains(expected), "{reason} should say {expected}");
    }
    let reason = refusal("isotonic", |m| {
        let points = proto::Isotonic { x: vec![0.5, 0.1], y: vec![0.0, 1.0] };
        let calibration = proto::calibration::Calibration::Isotonic(points);
        m.output.as_mut().unwrap().calibration = Some(proto::Calibration { calibration: Some(calibration) });
    });
    assert!(reason.contains("x rising"), "{reason}");
}

#[test]
fn nested_ensembles_are_bounded() {
    let mut predictor = build::message(&build::case("forest")).predictor.unwrap();
    for _ in 0..6 {
        let member = proto::EnsembleMember { weight: 1.0, predictor: Some(predictor), link: 5 };
        let ensemble = proto::Ensemble { members: vec![member] };
        predictor = proto::Predictor { predictor: Some(proto::predictor::Predictor::Ensemble(ensemble)) };
    }
    let reason = refusal("forest", |message| message.predictor = Some(predictor));
    assert!(reason.contains("nests more than 4"), "{reason}");
}

#[test]
fn an_example_that_is_not_reproduced_is_reported() {
    let case = build::case("forest");
    let mut message = build::message(&case);
    let model = Model::from_proto(message.clone()).unwrap();
    let mut example = model.example(&build::table(&case), &[0, 5]).unwrap();
    message.example = Some(example.clone());
    assert_eq!(Model::from_proto(message.clone()).unwrap().check_example(), Ok(()));
    example.rows[1].outputs[0] = f64::from_bits(example.rows[1].outputs[0].to_bits() ^ 1);
    message.example = Some(example);
    assert_eq!(Model::from_proto(message).unwrap().check_example(), Err(ModelError::Example { row: 1 }));
}
