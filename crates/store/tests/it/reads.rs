//! No byte leaves unverified.

use futures::TryStreamExt;
use gristmill_store::{Artifact, DamagedPart, Fault, StoreError, Unpinned};
use gristmill_types::{ArtifactKind, ArtifactRef, Digest, ErrorCode};

use super::bench::{Bench, pattern, producer, write_one};

/// Tries every way of reading a part and gives what each says.
async fn errors(artifact: &Artifact, part: &str) -> Vec<StoreError> {
    let part = artifact.part(part).unwrap();
    vec![
        part.bytes().await.unwrap_err(),
        part.path().await.unwrap_err(),
        part.stream().try_collect::<Vec<_>>().await.unwrap_err(),
        artifact.verify().await.unwrap_err(),
    ]
}

async fn expect_damage(artifact: &Artifact, name: &str, expected: Fault) {
    for error in errors(artifact, name).await {
        assert_eq!(error.code(), ErrorCode::DataLoss);
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(&artifact.artifact().digest.to_string()), "{text}");
        match error {
            StoreError::DataLoss { artifact: named, part: DamagedPart::Part(part), fault } => {
                assert_eq!((named, part.as_str(), fault), (artifact.artifact(), name, expected.clone()));
            }
            other => panic!("{other:?}"),
        }
    }
}

pub async fn tampered_bytes_are_named(bench: Bench) {
    let artifact = write_one(&bench.project(), b"true rows", &[]).await;
    let artifact = bench.project().open(&artifact).await.unwrap();
    bench.damage(Digest::of(b"true rows"), b"fake rows".to_vec()).await;
    expect_damage(&artifact, "rows.parquet", Fault::Content { offset: 0 }).await;
}

pub async fn truncated_and_grown_parts_are_named(bench: Bench) {
    let bytes = pattern(9 << 20);
    let artifact = write_one(&bench.project(), &bytes, &[]).await;
    let artifact = bench.project().open(&artifact).await.unwrap();
    let expected = bytes.len() as u64;
    for len in [0, 5, 8 << 20, (9 << 20) - 1, (9 << 20) + 1] {
        let mut other = bytes.clone();
        other.resize(len, 0);
        bench.damage(Digest::of(&bytes), other).await;
        expect_damage(&artifact, "rows.parquet", Fault::Size { expected, found: len as u64 }).await;
    }
}

pub async fn a_missing_part_is_named(bench: Bench) {
    let mut writer = bench.project().write(ArtifactKind::Model, producer(), []);
    writer.part_bytes("model.gmm", "trees").await.unwrap();
    writer.part_bytes("model.json", "{}").await.unwrap();
    let artifact = bench.project().open(&writer.finish(&Unpinned).await.unwrap()).await.unwrap();
    bench.lose(Digest::of(b"{}")).await;
    expect_damage(&artifact, "model.json", Fault::Missing).await;
    assert_eq!(artifact.part("model.gmm").unwrap().bytes().await.unwrap(), "trees");
}

pub async fn a_tampered_manifest_is_named(bench: Bench) {
    let project = bench.project();
    let artifact = write_one(&project, b"rows", &[]).await;
    let other = write_one(&project, b"other rows", &[]).await;
    // A whole manifest, but of another artifact: only the digest tells.
    let bytes = project.open(&other).await.unwrap().manifest().to_bytes();
    for bytes in [bytes, b"{}".to_vec(), Vec::new()] {
        bench.damage(artifact.digest, bytes).await;
        let error = project.open(&artifact).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::DataLoss);
        assert!(
            matches!(&error, StoreError::DataLoss { artifact: named, part: DamagedPart::Manifest, .. } if *named == artifact),
            "{error:?}"
        );
    }
    project.verify(&other).await.unwrap();
}

pub async fn unknown_things_are_not_found(bench: Bench) {
    let project = bench.project();
    let artifact = write_one(&project, b"rows", &[]).await;
    let nothing = ArtifactRef { kind: ArtifactKind::Model, digest: Digest::of(b"nothing") };
    assert!(!project.exists(&nothing).await.unwrap());
    assert_eq!(project.open(&nothing).await.unwrap_err().code(), ErrorCode::NotFound);
    let model = ArtifactRef { kind: ArtifactKind::Model, ..artifact };
    let wrong = project.open(&model).await.unwrap_err();
    assert!(matches!(wrong, StoreError::WrongKind { found: ArtifactKind::Dataset, .. }));
    assert_eq!(project.find(artifact.digest).await.unwrap().artifact(), artifact);
    let no_part = project.open(&artifact).await.unwrap().part("matrix.bin").unwrap_err();
    assert!(no_part.to_string().contains("rows.parquet"), "{no_part}");
}

pub async fn a_damaged_chunk_is_found_where_it_is(bench: Bench) {
    let mut bytes = pattern(17 << 20);
    let artifact = write_one(&bench.project(), &bytes, &[]).await;
    let artifact = bench.project().open(&artifact).await.unwrap();
    let digest = Digest::of(&bytes);
    bytes[(16 << 20) + 77] ^= 1;
    bench.damage(digest, bytes).await;
    expect_damage(&artifact, "rows.parquet", Fault::Content { offset: 16 << 20 }).await;
    // Pieces before the damage were handed out verified, the damaged one was not.
    let mut pieces = artifact.part("rows.parquet").unwrap().stream();
    assert_eq!(pieces.try_next().await.unwrap().unwrap().len(), 8 << 20);
    assert_eq!(pieces.try_next().await.unwrap().unwrap().len(), 8 << 20);
    assert!(pieces.try_next().await.is_err());
}

pub async fn maps_are_shared_and_outlive_the_artifact(bench: Bench) {
    let bytes = pattern(12 << 20);
    let artifact = write_one(&bench.project(), &bytes, &[]).await;
    let part = bench.project().open(&artifact).await.unwrap().part("rows.parquet").unwrap();
    let first = part.bytes().await.unwrap();
    let second = part.bytes().await.unwrap();
    assert_eq!(first.as_ptr(), second.as_ptr(), "one map serves both");
    bench.lose(Digest::of(&bytes)).await;
    drop(first);
    assert!(second == bytes, "a deleted file stays while it is mapped");
}
