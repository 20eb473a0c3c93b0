//! Two stages with ledgers of their own behind sockets: what either holds survives a sweep.

use async_trait::async_trait;
use gristmill_jobs::{Observed, Outcome};
use gristmill_store::{RootProvider, Roots, StoreError};
use gristmill_types::{ArtifactRef, Digest, ErrorCode, Project};
use tokio::sync::Mutex;

use super::bench::{Ground, HOUR, Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_either_stage_holds_survives_and_the_rest_goes() {
    let ground = Ground::new().await;
    let (ingestion, training) = (ground.stage("ingestion", "a").await, ground.stage("training", "b").await);
    let committed = ground.write(b"committed by ingestion").await;
    let leased = ingestion.pins(committed).await;
    let outcome = Outcome { result: Vec::new(), outputs: vec![committed] };
    ingestion.ledger.commit(&leased.lease, &outcome, Observed::default(), &()).await.unwrap();
    let pinned = ground.write(b"pinned by a trial").await;
    training.pins(pinned).await;
    let garbage = ground.write(b"held by nobody").await;
    ground.clock.advance(25 * HOUR);

    let (one, two) = (ground.remote(&ingestion), ground.remote(&training));
    let report = ground.sweep(&[&one, &two]).await.unwrap();
    assert_eq!((report.kept, report.spared, report.deleted), (4, 0, 2));
    assert!(ground.has(&committed).await && ground.has(&pinned).await && !ground.has(&garbage).await);
    assert_eq!(ground.store.holders().await.unwrap(), [ingestion.holder.clone(), training.holder.clone()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_is_not_asked_or_dead_stops_the_sweep() {
    let ground = Ground::new().await;
    let (ingestion, mut training) = (ground.stage("ingestion", "a").await, ground.stage("training", "b").await);
    ground.write(b"garbage").await;
    ground.clock.advance(25 * HOUR);
    let (one, two) = (ground.remote(&ingestion), ground.remote(&training));

    let refused = ground.sweep(&[&one]).await.unwrap_err();
    assert!(matches!(&refused, StoreError::HolderNotAsked(who) if *who == training.holder), "{refused:?}");
    training.dies().await;
    let refused = ground.sweep(&[&one, &two]).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unavailable);
    assert!(refused.to_string().contains("`training` did not say"), "{refused}");
    assert_eq!(ground.objects().await, 2);
}

/// The same stage over another database is somebody else: an all-in-one beside stage processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_installation_of_the_stage_does_not_answer_for_it() {
    let ground = Ground::new().await;
    let (here, elsewhere) = (ground.stage("ingestion", "a").await, ground.stage("ingestion", "b").await);
    let held = ground.write(b"held elsewhere").await;
    elsewhere.pins(held).await;
    ground.clock.advance(25 * HOUR);
    let refused = ground.sweep(&[&ground.remote(&here)]).await.unwrap_err();
    assert!(matches!(&refused, StoreError::HolderNotAsked(who) if *who == elsewhere.holder), "{refused:?}");
    assert!(ground.has(&held).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_tables_are_the_same_holder_after_a_restart() {
    let ground = Ground::new().await;
    let mut first = ground.stage("ingestion", "a").await;
    first.dies().await;
    let holder = first.holder.clone();
    drop(first);
    assert_eq!(ground.stage("ingestion", "a").await.holder, holder);
    assert_eq!(ground.store.holders().await.unwrap(), [holder]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_digests_than_a_page_arrive_whole() {
    let ground = Ground::new().await;
    let stage = ground.stage("training", "a").await;
    let lease = stage.claims().await.lease;
    let mut digests: Vec<Digest> = (0..25_000_u32).map(|number| Digest::of(&number.to_be_bytes())).collect();
    stage.ledger.pin(&lease, &digests).await.unwrap();
    let roots = ground.remote(&stage).roots(&Project::default()).await.unwrap();
    digests.sort();
    assert_eq!((roots.pins, roots.artifacts, roots.holders), (digests, vec![], vec![stage.holder]));
}

/// Puts what is there already after its stage has answered: the worst moment, for the answer does not name it.
struct PutsAfterwards<'a> {
    ground: &'a Ground,
    stage: &'a Stage,
    written: Mutex<Option<ArtifactRef>>,
}

#[async_trait]
impl RootProvider for PutsAfterwards<'_> {
    fn name(&self) -> &str {
        self.stage.name
    }

    async fn roots(&self, project: &Project) -> Result<Roots, String> {
        let answer = self.ground.remote(self.stage).roots(project).await?;
        let artifact = self.ground.write(b"same rows").await;
        self.stage.pins(artifact).await;
        *self.written.lock().await = Some(artifact);
        assert!(answer.pins.is_empty());
        Ok(answer)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_of_what_is_there_races_a_sweep_over_remote_roots() {
    let ground = Ground::new().await;
    let stage = ground.stage("training", "a").await;
    let old = ground.write(b"same rows").await;
    ground.clock.advance(25 * HOUR);
    let racer = PutsAfterwards { ground: &ground, stage: &stage, written: Mutex::default() };
    let report = ground.sweep(&[&racer]).await.unwrap();
    assert_eq!(racer.written.into_inner(), Some(old), "the put met the old objects");
    assert_eq!((report.spared, report.deleted), (2, 0), "their age started anew");
    ground.clock.advance(25 * HOUR);
    let report = ground.sweep(&[&ground.remote(&stage)]).await.unwrap();
    assert_eq!((report.kept, report.deleted), (2, 0), "from the next sweep on its pin keeps it");
}
