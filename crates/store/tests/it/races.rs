//! Puts against puts and puts against sweeps.

use async_trait::async_trait;
use futures::future::join_all;
use gristmill_store::{RootProvider, Roots};
use gristmill_types::{ArtifactRef, Project};
use tokio::sync::Mutex;

use super::bench::{Bench, HOUR, pattern, write_one};
use super::sweeps::Holder;

pub async fn identical_puts_at_once(bench: Bench) {
    let bytes = pattern((8 << 20) + 100);
    let tasks = (0..12).map(|_| {
        let (project, bytes) = (bench.project(), bytes.clone());
        tokio::spawn(async move { write_one(&project, &bytes, &[]).await })
    });
    let artifacts: Vec<ArtifactRef> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    assert!(artifacts.iter().all(|artifact| *artifact == artifacts[0]));
    assert_eq!(bench.count().await, 2);
    bench.project().verify(&artifacts[0]).await.unwrap();
}

/// Writes an artifact at the worst moment: the sweep has listed the old objects and is about to mark.
struct WritesMeanwhile<'a> {
    bench: &'a Bench,
    written: Mutex<Option<ArtifactRef>>,
}

#[async_trait]
impl RootProvider for WritesMeanwhile<'_> {
    fn name(&self) -> &str {
        "writes meanwhile"
    }

    async fn roots(&self, _project: &Project) -> Result<Roots, String> {
        let artifact = write_one(&self.bench.project(), b"same rows", &[]).await;
        *self.written.lock().await = Some(artifact);
        // The row that names it is not committed yet, so it is neither a root nor, in this test, pinned.
        Ok(Roots::default())
    }
}

pub async fn a_deduplicated_put_races_a_sweep(bench: Bench) {
    let first = write_one(&bench.project(), b"same rows", &[]).await;
    bench.advance(25 * HOUR);
    let racer = WritesMeanwhile { bench: &bench, written: Mutex::default() };
    let report = bench.store.sweep(&Project::default(), &[&racer], false).await.unwrap();
    assert_eq!(racer.written.into_inner(), Some(first), "the put met the old objects");
    assert_eq!((report.spared, report.deleted), (2, 0), "their age started anew");
    bench.project().verify(&first).await.unwrap();

    // Younger than half the grace: not put again, and safe until its writer has had that long to commit.
    bench.advance(11 * HOUR);
    write_one(&bench.project(), b"same rows", &[]).await;
    bench.advance(12 * HOUR);
    let report = bench.store.sweep(&Project::default(), &[&Holder::default()], false).await.unwrap();
    assert_eq!((report.spared, report.deleted), (2, 0));
    bench.advance(2 * HOUR);
    let report = bench.store.sweep(&Project::default(), &[&Holder::default()], false).await.unwrap();
    assert_eq!(report.deleted, 2);
}

pub async fn puts_and_sweeps_at_random_lose_nothing(bench: Bench) {
    for round in 0..20_u8 {
        let rows = [round; 64];
        write_one(&bench.project(), &rows, &[]).await;
        bench.advance(25 * HOUR);
        let project = bench.project();
        let put = tokio::spawn(async move { write_one(&project, &rows, &[]).await });
        let store = bench.store.clone();
        let sweep =
            tokio::spawn(async move { store.sweep(&Project::default(), &[&Holder::default()], false).await.unwrap() });
        let artifact = put.await.unwrap();
        sweep.await.unwrap();
        bench.project().verify(&artifact).await.unwrap();
    }
}
