//! What an attempt keeps from collection: pins and checkpoints. Parts of the contract.

use gristmill_jobs::{JobError, Observed};
use gristmill_types::Digest;

use crate::bench::{Bench, SECOND, project};
use crate::contract::{artifact, commit, lost};

pub async fn pins_live_as_long_as_their_attempt(bench: Bench) {
    bench.submit("r1").await;
    let lease = bench.claim().await.lease;
    let pinned = Digest::of(b"pinned");
    for _ in 0..2 {
        bench.ledger.pin(&lease, &[pinned]).await.unwrap();
    }
    assert_eq!(bench.ledger.roots().await.unwrap(), [pinned]);
    bench.ledger.release(&lease).await.unwrap();
    assert!(bench.ledger.roots().await.unwrap().is_empty());
    assert!(lost(bench.ledger.pin(&lease, &[pinned]).await));
}

pub async fn a_checkpoint_outlives_its_attempt_and_not_its_job(bench: Bench) {
    bench.submit("r1").await;
    let first = bench.claim().await;
    assert_eq!(first.checkpoint, None);
    let (early, late) = (Digest::of(b"early"), Digest::of(b"late"));
    bench.ledger.checkpoint(&first.lease, early).await.unwrap();
    bench.ledger.checkpoint(&first.lease, late).await.unwrap();
    bench.ledger.release(&first.lease).await.unwrap();
    // While it waits, and under the next lease, the last one is kept and the earlier one is not.
    assert_eq!(bench.ledger.roots().await.unwrap(), [late]);
    let second = bench.claim().await;
    assert_eq!(second.checkpoint, Some(late));
    assert!(lost(bench.ledger.checkpoint(&first.lease, early).await), "a zombie names nothing");
    bench.ledger.fail(&second.lease, &JobError::transient("X", "x"), Observed::default()).await.unwrap();
    bench.clock.advance(60 * SECOND);
    let third = bench.claim().await;
    assert_eq!(third.checkpoint, Some(late));
    bench.ledger.heartbeat(&third.lease, None).await.unwrap();
    commit(&bench, &third.lease, "x").await.unwrap();
    assert_eq!(bench.ledger.roots().await.unwrap(), [artifact("x").digest]);
    assert!(lost(bench.ledger.checkpoint(&third.lease, early).await));

    // Nor does it outlive a job that is cancelled while it waits.
    let id = bench.submit("r2").await.id;
    let lease = bench.claim().await.lease;
    bench.ledger.checkpoint(&lease, early).await.unwrap();
    bench.ledger.release(&lease).await.unwrap();
    bench.ledger.cancel(&project(), id, None).await.unwrap();
    assert_eq!(bench.ledger.roots().await.unwrap(), [artifact("x").digest]);
}
