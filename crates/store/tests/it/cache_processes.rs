//! Processes of one machine share a cache folder: whatever they do to it, each reads what was written.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use gristmill_store::{Store, StoreConfig};
use gristmill_types::{Digest, Project, SystemClock};

use super::bench::{Bench, pattern, write_one};

const CONFIG: &str = "GRISTMILL_TEST_CACHE_CONFIG";
const SEED: &str = "GRISTMILL_TEST_CACHE_SEED";
const PROCESSES: u64 = 4;
const PARTS: usize = 8;
const ROUNDS: u64 = 24;
const MIB: usize = 1 << 20;

fn used(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let sizes = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        if path.is_dir() { Some(used(&path)) } else { Some(std::fs::metadata(path).ok()?.len()) }
    });
    sizes.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_a_cache_that_is_too_small_for_them() {
    let bench = Bench::s3().await;
    for seed in 0..PARTS {
        let mut bytes = pattern(9 * MIB);
        bytes[0] = seed as u8;
        write_one(&bench.project(), &bytes, &[]).await;
    }
    let mut config = bench.config.clone();
    config.cache_bytes = 30 << 20;
    let file = bench.dir.path().join("config.json");
    std::fs::write(&file, serde_json::to_vec(&config).unwrap()).unwrap();
    let test = ["--exact", "it::cache_processes::reads_for_a_while", "--ignored", "--nocapture"];
    let mut children = Vec::new();
    for seed in 0..PROCESSES {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(test).env(CONFIG, &file).env(SEED, seed.to_string()).stdout(Stdio::null());
        children.push(child.spawn().unwrap());
    }
    let parts = bench.dir.path().join("cache/parts");
    // One of them is killed in the middle of it; the lock it may hold goes with it.
    let asked = bench.server.as_ref().unwrap().requests();
    bench.server.as_ref().unwrap().until(|server| server.requests() > asked + 20).await;
    children[0].kill().unwrap();
    children[0].wait().unwrap();
    for child in &mut children[1..] {
        assert!(tokio::task::block_in_place(|| child.wait()).unwrap().success());
    }
    // Held copies may exceed the bound; nobody holds any now, and one more comes in.
    let project = bench.project();
    let last = write_one(&project, &pattern(10 * MIB), &[]).await;
    let store = Store::open(&config, Arc::new(SystemClock)).await.unwrap();
    let part = store.project(&Project::default()).open(&last).await.unwrap().part("rows.parquet").unwrap();
    drop(part.path().await.unwrap());
    let used = used(&parts);
    assert!(used > 0 && used <= config.cache_bytes, "{used}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of `cargo test -p gristmill-store processes_share_a_cache`, which starts it"]
async fn reads_for_a_while() {
    let config: StoreConfig = serde_json::from_slice(&std::fs::read(std::env::var(CONFIG).unwrap()).unwrap()).unwrap();
    let mut state: u64 = std::env::var(SEED).unwrap().parse::<u64>().unwrap() * 7_919 + 1;
    let store = Store::open(&config, Arc::new(SystemClock)).await.unwrap();
    let project = store.project(&Project::default());
    let artifacts = project.list().await.unwrap();
    for _ in 0..ROUNDS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let artifact = project.find(artifacts[(state >> 33) as usize % artifacts.len()]).await.unwrap();
        let part = artifact.part("rows.parquet").unwrap();
        let held = part.path().await.unwrap();
        let path: PathBuf = held.to_path_buf();
        // What is held is there and whole, until it is let go, whatever the others evict.
        assert_eq!(Digest::of(&std::fs::read(&path).unwrap()), part.entry().digest());
        let bytes = part.bytes().await.unwrap();
        assert_eq!(Digest::of(&bytes), part.entry().digest());
        assert_eq!(Digest::of(&std::fs::read(&path).unwrap()), part.entry().digest());
    }
}
