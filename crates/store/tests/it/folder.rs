//! What only a folder does.

use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Command;

use gristmill_store::{Location, Store, StoreConfig, StoreError, Unpinned};
use gristmill_types::{ArtifactKind, Digest, ErrorCode, Project};

use super::bench::{Bench, pattern, producer, write_one};

#[tokio::test]
async fn parts_are_read_in_place_and_cannot_be_written() {
    let bench = Bench::local().await;
    let artifact = write_one(&bench.project(), b"rows", &[]).await;
    let part = bench.project().open(&artifact).await.unwrap().part("rows.parquet").unwrap();
    let path = part.path().await.unwrap();
    let digest = Digest::of(b"rows").to_string();
    let store = bench.dir.path().join("store").canonicalize().unwrap();
    let documented = store.join("projects/default/blobs/sha256").join(&digest[..2]).join(&digest);
    assert_eq!(&*path, documented);
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!((metadata.mode() & 0o222, metadata.nlink()), (0, 1), "read-only, and no second name is left");
    assert!(!bench.dir.path().join("cache").exists(), "a folder needs no cache");
}

#[tokio::test]
async fn links_in_the_folder_are_not_followed() {
    let bench = Bench::local().await;
    let artifact = write_one(&bench.project(), b"rows", &[]).await;
    let project = bench.dir.path().join("store/projects/default");
    let outside = bench.dir.path().join("outside");
    std::fs::rename(project.join("blobs"), &outside).unwrap();
    symlink(&outside, project.join("blobs")).unwrap();

    let part = bench.project().open(&artifact).await.unwrap().part("rows.parquet").unwrap();
    assert!(matches!(part.bytes().await, Err(StoreError::Symlink)));
    assert!(matches!(part.path().await, Err(StoreError::Symlink)));
    let mut writer = bench.project().write(ArtifactKind::Dataset, producer(), []);
    writer.part_bytes("rows.parquet", "new").await.unwrap();
    assert!(matches!(writer.finish(&Unpinned).await, Err(StoreError::Symlink)));
    bench.advance(25 * super::bench::HOUR);
    let swept = bench.store.sweep(&Project::default(), &[], false).await;
    assert!(matches!(swept, Err(StoreError::Symlink)), "{swept:?}");
    assert!(outside.join("sha256").exists());

    std::fs::rename(bench.dir.path().join("store/projects"), bench.dir.path().join("elsewhere")).unwrap();
    symlink(bench.dir.path().join("elsewhere"), bench.dir.path().join("store/projects")).unwrap();
    let opened = Store::open(&bench.config, bench.clock.clone()).await;
    assert!(matches!(opened, Err(StoreError::Symlink)));
}

#[tokio::test]
async fn the_folder_survives_a_restart_and_temporary_files_do_not() {
    let bench = Bench::local().await;
    let artifact = write_one(&bench.project(), b"rows", &[]).await;
    let spool = bench.dir.path().join("store/.spool");
    std::fs::create_dir_all(spool.join("99-0")).unwrap();
    std::fs::write(spool.join("99-0/part-dead"), b"half a part").unwrap();
    drop(bench.store);
    let store = Store::open(&bench.config, bench.clock.clone()).await.unwrap();
    assert!(!spool.join("99-0").exists());
    store.project(&Project::default()).verify(&artifact).await.unwrap();
    drop(store);
    assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 0);
}

#[tokio::test]
async fn two_stores_share_one_folder() {
    let bench = Bench::local().await;
    let second = Store::open(&bench.config, bench.clock.clone()).await.unwrap();
    let mut writer = bench.project().write(ArtifactKind::Dataset, producer(), []);
    writer.part_bytes("rows.parquet", "rows").await.unwrap();
    // The other process's start must not clean what this one is writing.
    let third = Store::open(&bench.config, bench.clock.clone()).await.unwrap();
    let artifact = writer.finish(&Unpinned).await.unwrap();
    for store in [second, third] {
        store.project(&Project::default()).verify(&artifact).await.unwrap();
    }
}

#[tokio::test]
async fn impossible_settings_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(gristmill_types::SystemClock);
    for text in ["", "s3:bucket", "file://relative", "file:///", "ftp://x", "memory://x"] {
        assert!(matches!(text.parse::<Location>(), Err(StoreError::Settings(_))), "{text}");
    }
    let mut config = StoreConfig::new("memory://".parse().unwrap(), dir.path());
    config.grace_seconds = 60;
    let refused = Store::open(&config, clock.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("grace_seconds is 60"), "{refused}");
    assert_eq!(refused.code(), ErrorCode::FailedPrecondition);
    config.grace_seconds = 86_400;
    config.cache_bytes = 1;
    assert!(Store::open(&config, clock).await.is_err());
}

/// A small file system of its own; `None` where the system does not allow to mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(at.path()).status();
        mount.is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0.path()).status().unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_publishes_nothing_and_is_survived() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED a_full_disk_publishes_nothing_and_is_survived: no right to mount a small file system");
        return;
    };
    let config = StoreConfig::new(Location::Local(disk.0.path().join("store")), disk.0.path().join("cache"));
    let clock = std::sync::Arc::new(gristmill_types::SystemClock);
    let store = Store::open(&config, clock).await.unwrap();
    let project = store.project(&Project::default());
    let kept = write_one(&project, &pattern(1 << 20), &[]).await;

    let mut writer = project.write(ArtifactKind::Dataset, producer(), []);
    writer.part_bytes("small", pattern(100_000)).await.unwrap();
    let full = writer.part_bytes("rows.parquet", pattern(8 << 20)).await.unwrap_err();
    assert!(matches!(full, StoreError::DiskFull { .. }), "{full:?}");
    assert_eq!(full.code(), ErrorCode::ResourceExhausted);
    let mut sink = writer.part_sink("pushed").unwrap();
    for piece in pattern(8 << 20).chunks(1 << 20) {
        // The disk fills while pieces are under way; whoever pushes may be told late, closing tells.
        if sink.push(bytes::Bytes::copy_from_slice(piece)).await.is_err() {
            break;
        }
    }
    assert!(matches!(writer.part_done(sink).await, Err(StoreError::DiskFull { .. })));
    drop(writer);
    assert_eq!(project.list().await.unwrap(), [kept.digest], "no torn artifact");
    // The space of what failed is free again.
    let after = write_one(&project, &pattern(3 << 20), &[]).await;
    for artifact in [kept, after] {
        project.verify(&artifact).await.unwrap();
    }
}
