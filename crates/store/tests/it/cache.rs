//! The disk cache of a store that is not a folder.

use std::path::{Path, PathBuf};

use gristmill_store::{Part, Store};
use gristmill_types::Project;

use super::bench::{Bench, pattern, write_one};

const MIB: usize = 1 << 20;

/// A part of its own bytes.
async fn part(bench: &Bench, store: &Store, seed: u8, len: usize) -> (Part, Vec<u8>) {
    let mut bytes = pattern(len);
    bytes[0] = seed;
    let artifact = write_one(&bench.project(), &bytes, &[]).await;
    let artifact = store.project(&Project::default()).open(&artifact).await.unwrap();
    (artifact.part("rows.parquet").unwrap(), bytes)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn used(bench: &Bench) -> u64 {
    files(&bench.dir.path().join("cache/parts")).iter().map(|file| file.metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn copies_are_bounded_and_the_longest_unused_goes_first() {
    let bench = Bench::memory().await;
    let mut parts = Vec::new();
    for seed in 0..4 {
        parts.push(part(&bench, &bench.store, seed, 10 * MIB).await.0);
    }
    let mut paths = Vec::new();
    for part in &parts {
        paths.push(part.path().await.unwrap().to_path_buf());
    }
    assert_eq!(used(&bench), 40 << 20);
    // The first is used again, so the second is the longest unused.
    drop(parts[0].path().await.unwrap());
    let (fifth, _) = part(&bench, &bench.store, 4, 10 * MIB).await;
    drop(fifth.path().await.unwrap());
    assert_eq!(used(&bench), 40 << 20);
    assert!(paths[0].exists() && !paths[1].exists());
}

#[tokio::test]
async fn a_copy_in_use_is_not_evicted() {
    let bench = Bench::memory().await;
    let (held, bytes) = part(&bench, &bench.store, 0, 30 * MIB).await;
    let path = held.path().await.unwrap();
    let (other, _) = part(&bench, &bench.store, 1, 30 * MIB).await;
    drop(other.path().await.unwrap());
    assert!(std::fs::read(&path).unwrap() == bytes);
    drop(path);
    let (third, _) = part(&bench, &bench.store, 2, 30 * MIB).await;
    drop(third.path().await.unwrap());
    assert!(used(&bench) <= 40 << 20);
}

#[tokio::test]
async fn a_damaged_copy_is_fetched_again() {
    let bench = Bench::memory().await;
    let (part, bytes) = part(&bench, &bench.store, 0, 10 * MIB).await;
    let path = part.path().await.unwrap().to_path_buf();
    std::fs::write(&path, pattern(MIB)).unwrap();
    assert!(part.bytes().await.unwrap() == bytes);
    assert!(std::fs::read(&path).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_share_one_cache() {
    let bench = Bench::memory().await;
    let second = Store::on(bench.objects.clone(), &bench.config, bench.clock.clone()).await.unwrap();
    let mut tasks = Vec::new();
    for seed in 0..6 {
        for store in [&bench.store, &second] {
            let (part, bytes) = part(&bench, store, seed, 9 * MIB).await;
            tasks.push(tokio::spawn(async move {
                let path = part.path().await.unwrap();
                assert!(std::fs::read(&path).unwrap() == bytes);
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(used(&bench) <= 40 << 20);
}

#[tokio::test]
async fn small_parts_leave_no_copy() {
    let bench = Bench::memory().await;
    let (part, bytes) = part(&bench, &bench.store, 0, MIB).await;
    assert!(part.bytes().await.unwrap() == bytes);
    assert_eq!(used(&bench), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_two_made_at_once_stays_until_both_let_go() {
    let bench = Bench::memory().await;
    let second = Store::on(bench.objects.clone(), &bench.config, bench.clock.clone()).await.unwrap();
    for seed in 0..6 {
        let (first, bytes) = part(&bench, &bench.store, seed, 18 * MIB).await;
        let same = part(&bench, &second, seed, 18 * MIB).await.0;
        // Neither finds a copy, so both fetch one.
        let (one, other) = tokio::join!(first.path(), same.path());
        let (one, other) = (one.unwrap(), other.unwrap());
        let (held, let_go) = if seed % 2 == 0 { (one, other) } else { (other, one) };
        drop(let_go);
        // Two more are more than fit beside it.
        for more in [100 + 2 * seed, 101 + 2 * seed] {
            let (part, _) = part(&bench, &bench.store, more, 18 * MIB).await;
            drop(part.path().await.unwrap());
        }
        assert!(std::fs::read(&held).unwrap() == bytes, "what is held is there");
        assert!(used(&bench) <= 40 << 20);
    }
}
