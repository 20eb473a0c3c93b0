//! Garbage collection deletes only what is old and held by nobody.

use async_trait::async_trait;
use gristmill_store::{RootProvider, Roots, StoreError, SweepReport};
use gristmill_types::{ArtifactKind, ArtifactRef, Digest, ErrorCode, Project};

use super::bench::{Bench, HOUR, write_one};

/// Holds what it is told to.
#[derive(Default)]
pub struct Holder {
    pub roots: Vec<ArtifactRef>,
    pub pins: Vec<Digest>,
    pub registered: Vec<gristmill_store::Holder>,
    pub silent: bool,
}

#[async_trait]
impl RootProvider for Holder {
    fn name(&self) -> &str {
        "holder"
    }

    async fn roots(&self, _project: &Project) -> Result<Roots, String> {
        if self.silent {
            return Err("its database is locked".into());
        }
        let artifacts = self.roots.iter().map(|root| root.digest).collect();
        Ok(Roots { artifacts, pins: self.pins.clone(), holders: self.registered.clone() })
    }
}

async fn sweep(bench: &Bench, holder: &Holder, dry: bool) -> SweepReport {
    bench.store.sweep(&Project::default(), &[holder], dry).await.unwrap()
}

pub async fn only_old_garbage_goes(bench: Bench) {
    let project = bench.project();
    let kept = write_one(&project, b"kept", &[]).await;
    let garbage = write_one(&project, b"garbage", &[]).await;
    let holder = Holder { roots: vec![kept], ..Holder::default() };

    bench.advance(23 * HOUR);
    let young = sweep(&bench, &holder, false).await;
    assert_eq!((young.kept, young.spared, young.deleted), (2, 2, 0));
    bench.advance(2 * HOUR);
    let new = write_one(&project, b"new garbage", &[]).await;
    let report = sweep(&bench, &holder, false).await;
    assert_eq!((report.kept, report.spared, report.deleted), (2, 2, 2));
    assert!(project.exists(&kept).await.unwrap() && project.exists(&new).await.unwrap());
    assert!(!project.exists(&garbage).await.unwrap());
    project.verify(&kept).await.unwrap();
    assert_eq!(bench.count().await, 4);
}

pub async fn what_roots_were_made_from_stays(bench: Bench) {
    let project = bench.project();
    let source = write_one(&project, b"source", &[]).await;
    let dataset = write_one(&project, b"dataset", &[source]).await;
    let model = write_one(&project, b"model", &[dataset]).await;
    let shares_bytes = write_one(&project, b"source", &[dataset]).await;
    bench.advance(25 * HOUR);
    sweep(&bench, &Holder { roots: vec![model], ..Holder::default() }, false).await;
    for artifact in [source, dataset, model] {
        project.verify(&artifact).await.unwrap();
    }
    assert!(!project.exists(&shares_bytes).await.unwrap());
}

pub async fn a_dry_run_counts_and_deletes_nothing(bench: Bench) {
    let project = bench.project();
    write_one(&project, &[7; 1000], &[]).await;
    bench.advance(25 * HOUR);
    let before = bench.store.usage(&Project::default()).await.unwrap();
    let dry = sweep(&bench, &Holder::default(), true).await;
    assert_eq!((dry.deleted, dry.deleted_bytes), (2, before.bytes));
    assert!(before.bytes > 1000);
    assert_eq!(bench.store.usage(&Project::default()).await.unwrap(), before);
    assert_eq!(sweep(&bench, &Holder::default(), false).await, dry);
    assert_eq!(bench.count().await, 0);
}

pub async fn silence_of_one_provider_deletes_nothing(bench: Bench) {
    write_one(&bench.project(), b"garbage", &[]).await;
    bench.advance(25 * HOUR);
    let silent = Holder { silent: true, ..Holder::default() };
    let refused = bench.store.sweep(&Project::default(), &[&Holder::default(), &silent], false).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unavailable);
    assert!(refused.to_string().contains("its database is locked"), "{refused}");
    assert_eq!(bench.count().await, 2);
}

pub async fn a_lost_root_deletes_nothing(bench: Bench) {
    let project = bench.project();
    let source = write_one(&project, b"source", &[]).await;
    let root = write_one(&project, b"root", &[source]).await;
    write_one(&project, b"garbage", &[]).await;
    bench.advance(25 * HOUR);
    // What the lost manifest led to cannot be told from garbage any more.
    bench.damage(source.digest, b"{}".to_vec()).await;
    let holder = Holder { roots: vec![root], ..Holder::default() };
    let refused = bench.store.sweep(&Project::default(), &[&holder], false).await.unwrap_err();
    assert!(matches!(&refused, StoreError::RootUnreadable { digest, .. } if *digest == root.digest), "{refused:?}");
    let never = ArtifactRef { kind: ArtifactKind::Model, digest: Digest::of(b"never written") };
    let holder = Holder { roots: vec![never], ..Holder::default() };
    let refused = bench.store.sweep(&Project::default(), &[&holder], false).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::FailedPrecondition);
    assert_eq!(bench.count().await, 6);
}

pub async fn pins_are_kept_before_and_after_publication(bench: Bench) {
    let project = bench.project();
    let source = write_one(&project, b"source", &[]).await;
    let pinned = write_one(&project, b"pinned", &[source]).await;
    write_one(&project, b"a part that is pinned alone", &[]).await;
    bench.advance(25 * HOUR);
    let part = Digest::of(b"a part that is pinned alone");
    let holder = Holder { pins: vec![pinned.digest, part, Digest::of(b"not written yet")], ..Holder::default() };
    let report = sweep(&bench, &holder, false).await;
    // The pinned manifest with its part and its source's two objects, and the lone part; its manifest goes.
    assert_eq!((report.kept, report.deleted), (5, 1));
    project.verify(&pinned).await.unwrap();
    project.verify(&source).await.unwrap();
}
