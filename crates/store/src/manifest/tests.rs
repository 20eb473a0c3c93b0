//! Tests of the manifest's form.

use super::*;
use proptest::prelude::*;

fn entry(name: &str, bytes: &[u8]) -> PartEntry {
    let mut hasher = PartHasher::default();
    hasher.update(bytes);
    hasher.finish(name.into())
}

fn producer() -> Producer {
    Producer {
        cpu_class: Name::new("any").unwrap(),
        logic_version: 3,
        spec_digest: Digest::of(b"spec"),
        stage: Name::new("training").unwrap(),
    }
}

fn example() -> Manifest {
    let inputs = [
        ArtifactRef { kind: ArtifactKind::Prepared, digest: Digest::of(b"b") },
        ArtifactRef { kind: ArtifactKind::Dataset, digest: Digest::of(b"a") },
        ArtifactRef { kind: ArtifactKind::Prepared, digest: Digest::of(b"b") },
    ];
    let parts = vec![entry("model.json", b"{}"), entry("model.gmm", b"abc")];
    Manifest::new(ArtifactKind::Model, producer(), &inputs, parts).unwrap()
}

/// The bytes are part of the format: a change renames every artifact ever written.
#[test]
fn the_bytes_are_golden() {
    let text = String::from_utf8(example().to_bytes()).unwrap();
    assert_eq!(text, include_str!("../../tests/fixtures/manifest-v1.json").trim_end());
}

#[test]
fn keys_are_sorted_at_every_depth() {
    fn walk(value: &serde_json::Value) {
        match value {
            serde_json::Value::Object(map) => {
                let keys: Vec<_> = map.keys().collect();
                assert!(keys.is_sorted(), "{keys:?}");
                map.values().for_each(walk);
            }
            serde_json::Value::Array(items) => items.iter().for_each(walk),
            serde_json::Value::Number(number) => assert!(number.is_u64()),
            serde_json::Value::String(_) => {}
            other => panic!("{other} is neither a text nor an integer"),
        }
    }
    walk(&serde_json::from_slice(&example().to_bytes()).unwrap());
}

#[test]
fn only_the_canonical_text_is_read() {
    let bytes = example().to_bytes();
    assert_eq!(Manifest::from_bytes(&bytes).unwrap(), example());
    let text = String::from_utf8(bytes).unwrap();
    for other in [
        text.replace(",\"kind\"", ", \"kind\""),
        text.replace("\"format_version\":1", "\"format_version\":2"),
        text.replace("\"logic_version\":3", "\"logic_version\":3,\"host\":\"a\""),
        text.replace("model.gmm", "../../etc"),
        text.replace("model.gmm", "model.json"),
        text.replace("model.gmm", "z.gmm"),
        text.replace("\"size\":3", "\"size\":9000000"),
    ] {
        assert_ne!(other, text);
        assert!(matches!(
            Manifest::from_bytes(other.as_bytes()),
            Err(StoreError::Manifest(_) | StoreError::PartName(_) | StoreError::DuplicatePart(_))
        ));
    }
}

#[test]
fn part_names_cannot_leave_the_artifact() {
    for bad in ["", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", ".hidden", "a..b", "a b", "-x", "ä", "a\0b"] {
        assert!(matches!(check_part_name(bad), Err(StoreError::PartName(_))), "{bad:?}");
    }
    assert!(check_part_name(&"x".repeat(129)).is_err());
    for good in ["rows.parquet", "model.gmm", "0", "A-b_c.D"] {
        check_part_name(good).unwrap();
    }
}

#[test]
fn chunks_are_eight_mebibytes() {
    let chunk = CHUNK_BYTES as usize;
    let bytes: Vec<u8> = (0..(2 * chunk + 5)).map(|i| (i % 251) as u8).collect();
    for len in [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 5] {
        let bytes = &bytes[..len];
        let whole = entry("x", bytes);
        let expected: Vec<Digest> = bytes.chunks(chunk).map(Digest::of).collect();
        assert_eq!((whole.chunks, whole.digest, whole.size), (expected, Digest::of(bytes), len as u64));
    }
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_entry(bytes in proptest::collection::vec(any::<u8>(), 0..2000), cut in 0_usize..2000) {
        let (a, b) = bytes.split_at(cut.min(bytes.len()));
        let mut hasher = PartHasher::default();
        hasher.update(a);
        hasher.update(b);
        prop_assert_eq!(hasher.finish("x".into()), entry("x", &bytes));
    }

    #[test]
    fn no_bytes_panic_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Manifest::from_bytes(&bytes).is_err());
    }

    #[test]
    fn no_mutation_is_read_as_the_same(at in 0_usize..500, byte: u8) {
        let mut bytes = example().to_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(manifest) = Manifest::from_bytes(&bytes) {
            prop_assert_ne!(manifest.artifact().digest, example().artifact().digest);
        }
    }
}
