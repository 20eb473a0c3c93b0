//! The object store fails in every way it can; what comes out is what comes out without faults, or an error.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use gristmill_store::object_store::ObjectStore;
use gristmill_store::{DamagedPart, Location, Store, StoreConfig, StoreError, SweepReport, Unpinned, Usage};
use gristmill_types::{ArtifactKind, ArtifactRef, Clock, Digest, ErrorCode, ManualClock, Project, SystemClock};

use super::bench::{Dated, HOUR, PAUSE_MS, pattern, producer, write_one};
use super::faulty::{Faulty, Harm, Op, When};
use super::sweeps::Holder;

/// Tries of a store that gives up late.
const TRIES: u32 = 4;
/// Much longer than anything here takes: it only ends what hangs.
const HANGS: Duration = Duration::from_secs(60);

/// A store to break, and the clock that dates its objects.
struct Broken {
    faulty: Faulty,
    store: Store,
    clock: Arc<ManualClock>,
    config: StoreConfig,
    _folder: tempfile::TempDir,
}

impl Broken {
    async fn new(tries: u32) -> Self {
        Self::with_timeout(tries, 60_000).await
    }

    async fn with_timeout(tries: u32, request_timeout_ms: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = StoreConfig::new(Location::Memory, folder.path());
        config.remote.tries = tries;
        config.remote.pause_ms = PAUSE_MS;
        config.remote.request_timeout_ms = request_timeout_ms;
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let faulty = Faulty::over(Arc::new(Dated::new(clock.clone())));
        let store = Store::on(Arc::new(faulty.clone()), &config, clock.clone()).await.unwrap();
        Self { faulty, store, clock, config, _folder: folder }
    }
}

/// Made once: it takes long without optimisation.
fn large() -> Bytes {
    static LARGE: OnceLock<Bytes> = OnceLock::new();
    LARGE.get_or_init(|| pattern((8 << 20) + 9).into()).clone()
}

/// One small part, and one that is large enough for several requests.
async fn write(store: &Store) -> Result<ArtifactRef, StoreError> {
    let mut writer = store.project(&Project::default()).write(ArtifactKind::Dataset, producer(), []);
    writer.part_bytes("dataset.json", "{}").await?;
    writer.part_bytes("rows.parquet", large()).await?;
    writer.finish(&Unpinned).await
}

async fn read(store: &Store, artifact: &ArtifactRef) -> Result<(), StoreError> {
    let artifact = store.project(&Project::default()).open(artifact).await?;
    assert_eq!(artifact.part("dataset.json")?.bytes().await?, "{}");
    assert!(artifact.part("rows.parquet")?.bytes().await? == large());
    let pieces: Vec<Bytes> = artifact.part("rows.parquet")?.stream().try_collect().await?;
    assert!(pieces.concat() == large());
    Ok(())
}

/// All that a caller can see of a store's work.
#[derive(Debug, PartialEq)]
struct Outcome {
    artifact: ArtifactRef,
    listed: Vec<Digest>,
    projects: Vec<Project>,
    usage: Usage,
    swept: SweepReport,
    left: Usage,
}

/// Writes, writes the same again, reads, lists and sweeps what nobody holds.
async fn everything(broken: &Broken) -> Result<Outcome, StoreError> {
    let (store, default) = (&broken.store, Project::default());
    let project = store.project(&default);
    let artifact = write(store).await?;
    assert_eq!(write(store).await?, artifact);
    read(store, &artifact).await?;
    let mut writer = project.write(ArtifactKind::Report, producer(), [artifact]);
    writer.part_bytes("report.html", "nobody holds this").await?;
    writer.finish(&Unpinned).await?;
    let (listed, projects, usage) = (project.list().await?, store.projects().await?, store.usage(&default).await?);
    broken.clock.advance(25 * HOUR);
    let holder = Holder { roots: vec![artifact], ..Holder::default() };
    let swept = store.sweep(&default, &[&holder], false).await?;
    read(store, &artifact).await?;
    Ok(Outcome { artifact, listed, projects, usage, swept, left: store.usage(&default).await? })
}

/// The outcome without faults.
async fn baseline() -> Outcome {
    let broken = Broken::new(TRIES).await;
    let outcome = everything(&broken).await.unwrap();
    assert_eq!(broken.faulty.fired(), 0);
    assert_eq!((outcome.listed.len(), outcome.swept.deleted, outcome.left.objects), (2, 2, 3));
    outcome
}

const OPS: [Op; 8] = [Op::Put, Op::Begin, Op::Piece, Op::Complete, Op::Get, Op::Head, Op::List, Op::Delete];

/// Every way in which a call can go wrong for a while.
fn passing() -> Vec<(Op, Harm)> {
    let mut cases: Vec<(Op, Harm)> = OPS.map(|op| (op, Harm::Fails)).into();
    cases.extend([Op::Put, Op::Begin, Op::Piece, Op::Complete, Op::Delete].map(|op| (op, Harm::ReplyLost)));
    cases.extend([(Op::Put, Harm::Exists), (Op::Put, Harm::Condition)]);
    cases.extend([(Op::Get, Harm::Cut), (Op::Get, Harm::Flipped)]);
    cases.extend(OPS.map(|op| (op, Harm::Slow)));
    cases
}

#[tokio::test]
async fn what_passes_changes_nothing() {
    let expected = baseline().await;
    for (op, harm) in passing() {
        let broken = Broken::new(TRIES).await;
        broken.faulty.plan(When::EachFirst(op, TRIES as usize - 1), harm);
        let outcome = tokio::time::timeout(HANGS, everything(&broken)).await.unwrap();
        assert_eq!(outcome.unwrap(), expected, "{op:?} {harm:?}");
        assert!(broken.faulty.fired() >= 1, "{op:?} {harm:?} never fired");
        if op == Op::Piece && harm == Harm::Fails {
            assert!(broken.faulty.aborted() >= 1, "a failed upload is aborted");
        }
    }
}

#[tokio::test]
async fn what_never_answers_is_asked_again() {
    let expected = baseline().await;
    for op in OPS {
        let broken = Broken::with_timeout(TRIES, 400).await;
        broken.faulty.plan(When::First(op, 1), Harm::Stalls);
        let outcome = tokio::time::timeout(HANGS, everything(&broken)).await.unwrap();
        assert_eq!(outcome.unwrap(), expected, "{op:?}");
        assert_eq!(broken.faulty.fired(), 1, "{op:?}");
    }
}

#[tokio::test]
async fn what_does_not_pass_is_an_error_within_bounds() {
    let expected = baseline().await;
    for (op, harm) in passing() {
        let changes = matches!(harm, Harm::Cut | Harm::Flipped);
        // Slowness is none, and a put or an upload whose answers are lost for ever has landed all the same.
        let lands = harm == Harm::Slow || (harm == Harm::ReplyLost && matches!(op, Op::Put | Op::Complete));
        let broken = Broken::new(TRIES).await;
        broken.faulty.plan(When::EachFirst(op, usize::MAX), harm);
        let outcome = tokio::time::timeout(HANGS, everything(&broken)).await.unwrap();
        assert!(broken.faulty.fired() >= 1, "{op:?} {harm:?} never fired");
        match outcome {
            Ok(outcome) => assert!(lands && outcome == expected, "{op:?} {harm:?}"),
            Err(error) => {
                assert!(!lands, "{op:?} {harm:?}: {error:?}");
                let code = if changes { ErrorCode::DataLoss } else { ErrorCode::Unavailable };
                assert_eq!(error.code(), code, "{op:?} {harm:?}: {error:?}");
                assert!(!error.to_string().contains("connection"), "causes are for the log: {error}");
                if changes {
                    assert!(error.to_string().contains(&expected.artifact.digest.to_string()), "{error}");
                }
                // Tries of a put are counted together with the looks before and after each.
                assert!(broken.faulty.most_calls() <= 4 * TRIES as usize, "{op:?} {harm:?}");
            }
        }
        // A manifest that can be seen is whole, and the store works again as if nothing had been.
        broken.faulty.heal();
        let project = broken.store.project(&Project::default());
        for digest in project.list().await.unwrap() {
            project.find(digest).await.unwrap().verify().await.unwrap();
        }
        let artifact = write(&broken.store).await.unwrap();
        assert_eq!(artifact, expected.artifact);
        read(&broken.store, &artifact).await.unwrap();
    }
}

#[tokio::test]
async fn damage_on_the_way_is_told_from_damage_in_the_store() {
    for harm in [Harm::Flipped, Harm::Cut] {
        let broken = Broken::new(TRIES).await;
        let artifact = write(&broken.store).await.unwrap();
        let opened = broken.store.project(&Project::default()).open(&artifact).await.unwrap();
        let part = opened.part("rows.parquet").unwrap();
        broken.faulty.plan(When::EachFirst(Op::Get, usize::MAX), harm);
        for error in
            [part.bytes().await.unwrap_err(), part.path().await.unwrap_err(), opened.verify().await.unwrap_err()]
        {
            let StoreError::DataLoss { artifact: named, part: DamagedPart::Part(_), .. } = &error else {
                panic!("{error:?}")
            };
            assert_eq!(*named, artifact);
        }
        assert!(broken.faulty.fired() >= 3 * TRIES as usize);
        broken.faulty.heal();
        // Nothing wrong was kept.
        read(&broken.store, &artifact).await.unwrap();
    }
}

#[tokio::test]
async fn a_put_at_every_step_is_torn_nowhere_and_can_be_repeated() {
    for harm in [Harm::Fails, Harm::ReplyLost] {
        let mut failed = 0;
        for at in 0.. {
            let broken = Broken::new(1).await;
            broken.faulty.plan(When::Call(at), harm);
            let first = write(&broken.store).await;
            if broken.faulty.fired() == 0 {
                assert!(first.is_ok() && failed > 5, "{failed} of {at} faults were felt");
                break;
            }
            broken.faulty.heal();
            let project = broken.store.project(&Project::default());
            // Whatever became of it: a manifest that can be seen is whole.
            for digest in project.list().await.unwrap() {
                project.find(digest).await.unwrap().verify().await.unwrap();
            }
            // Losing what only asks for the store's time, or removes that question again, need not matter.
            if let Err(error) = &first {
                assert_eq!(error.code(), ErrorCode::Unavailable, "{error:?}");
                failed += 1;
            }
            let again = write(&broken.store).await.unwrap();
            read(&broken.store, &again).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_read_at_every_step_says_that_it_failed_and_can_be_repeated() {
    let mut failed = 0;
    for at in 0..16 {
        let broken = Broken::new(1).await;
        let artifact = write(&broken.store).await.unwrap();
        broken.faulty.plan(When::Call(at), Harm::Fails);
        if let Err(error) = read(&broken.store, &artifact).await {
            assert_eq!(error.code(), ErrorCode::Unavailable, "a fault is no damage: {error:?}");
            failed += 1;
            read(&broken.store, &artifact).await.unwrap();
        }
    }
    assert_eq!(failed, 6, "the manifest, a small part, and a large one of two chunks twice");
}

#[tokio::test]
async fn a_sweep_at_every_step_deletes_nothing_that_is_held() {
    for at in 0.. {
        let broken = Broken::new(1).await;
        let artifact = write(&broken.store).await.unwrap();
        write_one(&broken.store.project(&Project::default()), b"garbage", &[artifact]).await;
        broken.clock.advance(25 * HOUR);
        let holder = Holder { roots: vec![artifact], ..Holder::default() };
        broken.faulty.plan(When::Call(at), Harm::Fails);
        let swept = broken.store.sweep(&Project::default(), &[&holder], false).await;
        let reached = broken.faulty.fired() == 1;
        broken.faulty.heal();
        read(&broken.store, &artifact).await.unwrap();
        if !reached {
            assert_eq!((swept.unwrap().deleted, at > 4), (2, true), "{at} faults fired");
            break;
        }
        // Only that the probe of the store's time could not be removed is no reason to stop.
        if let Err(error) = swept {
            assert_eq!(error.code(), ErrorCode::Unavailable);
        }
        // What it left is swept the next time.
        broken.store.sweep(&Project::default(), &[&holder], false).await.unwrap();
        assert_eq!(broken.store.usage(&Project::default()).await.unwrap().objects, 3);
    }
}

#[tokio::test]
async fn what_a_killed_check_left_is_swept() {
    let broken = Broken::new(TRIES).await;
    broken.faulty.plan(When::EachFirst(Op::Delete, usize::MAX), Harm::Fails);
    let second = Store::on(Arc::new(broken.faulty.clone()), &broken.config, broken.clock.clone()).await.unwrap();
    assert!(broken.faulty.fired() >= 1, "the store opens though it cannot delete what it wrote to see that");
    broken.faulty.heal();
    let probes = || broken.faulty.list(Some(&"probes".into())).try_collect::<Vec<_>>();
    assert_eq!(probes().await.unwrap().len(), 1);
    second.sweep(&Project::default(), &[], false).await.unwrap();
    assert_eq!(probes().await.unwrap().len(), 1, "too young to be left over");
    broken.clock.advance(25 * HOUR);
    second.sweep(&Project::default(), &[], false).await.unwrap();
    assert!(probes().await.unwrap().is_empty());
}
