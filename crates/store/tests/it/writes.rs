//! Artifacts on their way in.

use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use gristmill_store::{Fault, Pin, PinRefused, ProjectStore, StoreError, Unpinned};
use gristmill_types::{ArtifactKind, ArtifactRef, Digest, ErrorCode, Project};

use super::bench::{Bench, pattern, producer, write_one};

pub async fn every_way_in_comes_out_the_same(bench: Bench) {
    let project = bench.project();
    for len in [1, 100_000, (8 << 20) + 1, 20 << 20] {
        let bytes = pattern(len);
        let file = bench.dir.path().join("source");
        std::fs::write(&file, &bytes).unwrap();
        let mut writer = project.write(ArtifactKind::Source, producer(), []);
        writer.part_bytes("bytes", bytes.clone()).await.unwrap();
        writer.part_file("file", &file).await.unwrap();
        let copy = bytes.clone();
        writer.part_with("with", move |w| w.write_all(&copy)).await.unwrap();
        let mut sink = writer.part_sink("sink").unwrap();
        for piece in bytes.chunks(70_001) {
            sink.push(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        let entry = writer.part_done(sink).await.unwrap();
        assert_eq!(entry.digest(), Digest::of(&bytes));
        let artifact = project.open(&writer.finish(&Unpinned).await.unwrap()).await.unwrap();

        for name in ["bytes", "file", "with", "sink"] {
            let part = artifact.part(name).unwrap();
            assert_eq!((part.entry().size(), part.entry().digest()), (len as u64, Digest::of(&bytes)));
            assert!(part.bytes().await.unwrap() == bytes);
            assert!(std::fs::read(&*part.path().await.unwrap()).unwrap() == bytes);
            let pieces: Vec<Bytes> = part.stream().try_collect().await.unwrap();
            assert!(pieces.concat() == bytes);
            for offset in [0, 1, len / 2, len - 1, len, len + 1, 8 << 20] {
                let pieces: Vec<Bytes> = part.stream_from(offset as u64).try_collect().await.unwrap();
                assert!(pieces.concat() == bytes.get(offset..).unwrap_or_default(), "{offset} of {len}");
            }
        }
        artifact.verify().await.unwrap();
    }
    // One blob per length and one manifest each: the four parts share their bytes.
    assert_eq!(bench.count().await, 8);
}

pub async fn the_digest_depends_on_content_alone(bench: Bench) {
    let project = bench.project();
    let first = write_one(&project, b"rows", &[]).await;
    bench.advance(7_000_000);
    assert_eq!(write_one(&project, b"rows", &[]).await, first);
    assert_ne!(write_one(&project, b"rowz", &[]).await, first);
    assert_ne!(write_one(&project, b"rows", &[first]).await, first);
    // The name that every backend and every machine gives to these bytes.
    assert_eq!(first.digest.to_string(), "24040e494361e049115678d9fbf0fbe91fe183146522c018fdec015cdee3e8f5");

    let mut writer = project.write(ArtifactKind::Dataset, producer(), [first, first]);
    writer.part_bytes("b", "2").await.unwrap();
    writer.part_bytes("a", "1").await.unwrap();
    let one = writer.finish(&Unpinned).await.unwrap();
    let mut writer = project.write(ArtifactKind::Dataset, producer(), [first]);
    writer.part_bytes("a", "1").await.unwrap();
    writer.part_bytes("b", "2").await.unwrap();
    assert_eq!(writer.finish(&Unpinned).await.unwrap(), one);
}

pub async fn a_dropped_writer_leaves_nothing(bench: Bench) {
    let project = bench.project();
    let mut writer = project.write(ArtifactKind::Model, producer(), []);
    writer.part_bytes("model.gmm", pattern(3 << 20)).await.unwrap();
    let mut sink = writer.part_sink("model.json").unwrap();
    sink.push("{").await.unwrap();
    drop(sink);
    drop(writer);
    assert_eq!(bench.count().await, 0);
    assert!(project.list().await.unwrap().is_empty());
}

pub async fn an_empty_part_is_kept(bench: Bench) {
    let project = bench.project();
    let artifact = write_one(&project, b"", &[]).await;
    let artifact = project.open(&artifact).await.unwrap();
    let part = artifact.part("rows.parquet").unwrap();
    assert!(part.bytes().await.unwrap().is_empty());
    assert_eq!(std::fs::metadata(&*part.path().await.unwrap()).unwrap().len(), 0);
    artifact.verify().await.unwrap();
    bench.lose(Digest::of(b"")).await;
    assert_eq!(artifact.verify().await.unwrap_err().code(), ErrorCode::DataLoss);
}

pub async fn part_names_cannot_be_paths(bench: Bench) {
    let mut writer = bench.project().write(ArtifactKind::Report, producer(), []);
    for name in ["../escape", "/etc/passwd", "a/b", "..", ".hidden", "", "a\\b", "nul\0"] {
        assert!(matches!(writer.part_bytes(name, "x").await, Err(StoreError::PartName(_))), "{name:?}");
        assert!(matches!(writer.part_sink(name), Err(StoreError::PartName(_))), "{name:?}");
    }
    writer.part_bytes("report.html", "x").await.unwrap();
    let twice = writer.part_bytes("report.html", "y").await.unwrap_err();
    assert!(matches!(&twice, StoreError::DuplicatePart(name) if name == "report.html"));
    let empty = bench.project().write(ArtifactKind::Report, producer(), []);
    assert!(matches!(empty.finish(&Unpinned).await, Err(StoreError::Manifest(_))));
    assert_eq!(bench.count().await, 0);
}

pub async fn odd_files_are_refused(bench: Bench) {
    let target = bench.dir.path().join("target");
    let link = bench.dir.path().join("link");
    std::fs::write(&target, "secret").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let mut writer = bench.project().write(ArtifactKind::Source, producer(), []);
    for path in [link.as_path(), bench.dir.path(), "/dev/zero".as_ref(), "/nowhere".as_ref()] {
        let refused = writer.part_file("data.csv", path).await.unwrap_err();
        assert!(matches!(&refused, StoreError::NotAFile(name) if name == "data.csv"), "{refused:?}");
        assert!(!refused.to_string().contains('/'), "no path in a message: {refused}");
    }
    writer.part_file("data.csv", &target).await.unwrap();
}

/// Notes what is visible at the moment of the pin.
struct Watching {
    project: ProjectStore,
    seen: Mutex<Option<(Vec<Digest>, u64)>>,
    store: gristmill_store::Store,
}

#[async_trait]
impl Pin for Watching {
    async fn pin(&self, digests: &[Digest]) -> Result<(), PinRefused> {
        let usage = self.store.usage(self.project.project()).await.unwrap();
        *self.seen.lock().unwrap() = Some((digests.to_vec(), usage.objects));
        Ok(())
    }
}

pub async fn nothing_is_visible_before_it_is_pinned(bench: Bench) {
    let project = bench.project();
    let pin = Watching { project: project.clone(), seen: Mutex::default(), store: bench.store.clone() };
    let mut writer = project.write(ArtifactKind::Dataset, producer(), []);
    writer.part_bytes("a", "1").await.unwrap();
    writer.part_bytes("b", "2").await.unwrap();
    let artifact = writer.finish(&pin).await.unwrap();
    let (pinned, visible) = pin.seen.into_inner().unwrap().unwrap();
    let mut expected = vec![Digest::of(b"1"), Digest::of(b"2"), artifact.digest];
    expected.sort();
    assert_eq!((pinned, visible), (expected, 0));
    assert_eq!(bench.count().await, 3);
}

struct LeaseLost;

#[async_trait]
impl Pin for LeaseLost {
    async fn pin(&self, _digests: &[Digest]) -> Result<(), PinRefused> {
        Err(PinRefused { code: ErrorCode::FailedPrecondition, message: "attempt 2 holds the job".into() })
    }
}

pub async fn a_lost_lease_publishes_nothing(bench: Bench) {
    let mut writer = bench.project().write(ArtifactKind::Model, producer(), []);
    writer.part_bytes("model.gmm", "x").await.unwrap();
    let refused = writer.finish(&LeaseLost).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::FailedPrecondition);
    assert!(refused.to_string().contains("attempt 2 holds the job"));
    assert_eq!(bench.count().await, 0);
}

pub async fn a_failing_source_publishes_nothing(bench: Bench) {
    let mut writer = bench.project().write(ArtifactKind::Dataset, producer(), []);
    let failed = writer
        .part_with("rows.parquet", |w| {
            w.write_all(&pattern(3 << 20))?;
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        })
        .await
        .unwrap_err();
    assert!(matches!(failed, StoreError::DiskFull { .. }));
    assert_eq!(failed.code(), ErrorCode::ResourceExhausted);
    // The writer is not spoilt: the same part may be written again.
    writer.part_bytes("rows.parquet", "x").await.unwrap();
    drop(writer);
    assert_eq!(bench.count().await, 0);
}

pub async fn projects_are_apart(bench: Bench) {
    assert!(bench.store.projects().await.unwrap().is_empty());
    let other = bench.store.project(&Project::new("other").unwrap());
    let artifact = write_one(&bench.project(), b"rows", &[]).await;
    assert!(!other.exists(&artifact).await.unwrap());
    let refused = other.open(&artifact).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NotFound);
    // Knowing a digest gives nothing: the manifest alone does not bring the other project's bytes.
    let manifest = bench.project().open(&artifact).await.unwrap().manifest().to_bytes();
    let upload = other.import(&manifest).await.unwrap();
    let missing = upload.finish(&Unpinned).await.unwrap_err();
    assert!(matches!(missing, StoreError::Upload { fault: Fault::Missing, .. }));
    write_one(&other, b"rows", &[]).await;
    assert_eq!(bench.store.projects().await.unwrap(), [Project::default(), Project::new("other").unwrap()]);
    assert_eq!(other.list().await.unwrap(), [artifact.digest]);
}

/// What a remote client sends: the manifest, then each part.
async fn upload(to: &ProjectStore, manifest: &[u8], parts: &[(&str, &[u8])]) -> Result<ArtifactRef, StoreError> {
    let mut upload = to.import(manifest).await?;
    for (name, bytes) in parts {
        let mut sink = upload.part_sink(name)?;
        for piece in bytes.chunks(3) {
            sink.push(Bytes::copy_from_slice(piece)).await?;
        }
        upload.part_done(sink).await?;
    }
    upload.finish(&Unpinned).await
}

pub async fn an_upload_is_checked(bench: Bench) {
    let here = bench.project();
    let there = bench.store.project(&Project::new("there").unwrap());
    let input = write_one(&here, b"source", &[]).await;
    let artifact = write_one(&here, b"some rows", &[input]).await;
    let manifest = here.open(&artifact).await.unwrap().manifest().to_bytes();

    let refused = upload(&there, &manifest, &[("rows.parquet", b"some rows")]).await.unwrap_err();
    assert!(matches!(refused, StoreError::UnknownInput(missing) if missing == input));
    write_one(&there, b"source", &[]).await;
    assert_eq!(upload(&there, &manifest, &[("rows.parquet", b"some rows")]).await.unwrap(), artifact);
    there.verify(&artifact).await.unwrap();
}

pub async fn a_wrong_upload_is_refused(bench: Bench) {
    let source = Bench::memory().await;
    let artifact = write_one(&source.project(), b"some rows", &[]).await;
    let manifest = source.project().open(&artifact).await.unwrap().manifest().to_bytes();
    let project = bench.project();
    for (parts, fault) in [
        (vec![("rows.parquet", b"some rowz".as_slice())], Fault::Content { offset: 0 }),
        (vec![("rows.parquet", b"some")], Fault::Size { expected: 9, found: 4 }),
        (vec![], Fault::Missing),
        (
            vec![("rows.parquet", b"some rows and more")],
            Fault::Unreadable("more bytes came than its manifest says".into()),
        ),
        (vec![("other", b"x")], Fault::Unreadable("the manifest has no part of this name".into())),
    ] {
        let refused = upload(&project, &manifest, &parts).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidArgument);
        assert!(matches!(&refused, StoreError::Upload { fault: found, .. } if *found == fault), "{refused:?}");
    }
    let twice = upload(&project, &manifest, &[("rows.parquet", b"some rows"), ("rows.parquet", b"x")]).await;
    assert!(matches!(twice, Err(StoreError::DuplicatePart(_))));
    assert!(matches!(project.import(b"{}").await, Err(StoreError::Manifest(_))));
    assert_eq!(bench.count().await, 0);
}
