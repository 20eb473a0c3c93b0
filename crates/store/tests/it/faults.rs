//! The object store fails at every step in turn, before or after it has done what was asked.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use gristmill_store::object_store::memory::InMemory;
use gristmill_store::object_store::path::Path;
use gristmill_store::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use gristmill_store::{Location, Store, StoreConfig, StoreError, Unpinned};
use gristmill_types::{ArtifactKind, ArtifactRef, Clock, ErrorCode, ManualClock, Project, SystemClock};

use super::bench::{HOUR, pattern, producer, write_one};
use super::sweeps::Holder;

/// When the failing call fails.
#[derive(Debug, Clone, Copy)]
enum Fails {
    /// Nothing was done.
    Before,
    /// It was done, and the answer was lost.
    After,
}

/// An object store whose `at`-th call fails.
#[derive(Debug)]
struct Faulty {
    inner: InMemory,
    calls: AtomicUsize,
    at: AtomicUsize,
    fails: Fails,
}

const NEVER: usize = usize::MAX;

impl Faulty {
    fn fires(&self) -> bool {
        self.calls.fetch_add(1, Ordering::SeqCst) == self.at.load(Ordering::SeqCst)
    }

    async fn call<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let fires = self.fires();
        let lost = || Error::Generic { store: "faulty", source: "connection reset".into() };
        match self.fails {
            Fails::Before if fires => Err(lost()),
            Fails::After if fires => {
                drop(work.await);
                Err(lost())
            }
            _ => work.await,
        }
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.call(self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.call(self.inner.put_multipart_opts(location, opts)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.call(self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.call(self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.fires() {
            let lost = Error::Generic { store: "faulty", source: "connection reset".into() };
            return futures::stream::once(async { Err(lost) }).boxed();
        }
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.call(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.call(self.inner.copy_opts(from, to, options)).await
    }
}

async fn faulty(fails: Fails, folder: &std::path::Path) -> (Arc<Faulty>, Store) {
    let faulty = Arc::new(Faulty { inner: InMemory::new(), calls: 0.into(), at: NEVER.into(), fails });
    let config = StoreConfig::new(Location::Memory, folder);
    let store = Store::on(faulty.clone(), &config, Arc::new(SystemClock)).await.unwrap();
    (faulty, store)
}

/// Made once: it takes long without optimisation.
fn large() -> Bytes {
    static LARGE: OnceLock<Bytes> = OnceLock::new();
    LARGE.get_or_init(|| pattern((8 << 20) + 9).into()).clone()
}

/// One small part, and one that is large enough for several requests.
async fn write(store: &Store) -> std::result::Result<ArtifactRef, StoreError> {
    let mut writer = store.project(&Project::default()).write(ArtifactKind::Dataset, producer(), []);
    writer.part_bytes("dataset.json", "{}").await?;
    writer.part_bytes("rows.parquet", large()).await?;
    writer.finish(&Unpinned).await
}

async fn read(store: &Store, artifact: &ArtifactRef) -> std::result::Result<(), StoreError> {
    let artifact = store.project(&Project::default()).open(artifact).await?;
    assert_eq!(artifact.part("dataset.json")?.bytes().await?, "{}");
    assert!(artifact.part("rows.parquet")?.bytes().await? == large());
    let pieces: Vec<Bytes> = artifact.part("rows.parquet")?.stream().try_collect().await?;
    assert!(pieces.concat() == large());
    Ok(())
}

#[tokio::test]
async fn a_failed_put_is_torn_nowhere_and_can_be_repeated() {
    for fails in [Fails::Before, Fails::After] {
        for at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let (faulty, store) = faulty(fails, folder.path()).await;
            faulty.at.store(at, Ordering::SeqCst);
            let first = write(&store).await;
            if faulty.calls.load(Ordering::SeqCst) <= at {
                assert!(first.is_ok() && at > 5, "{at} faults fired");
                break;
            }
            faulty.at.store(NEVER, Ordering::SeqCst);
            let project = store.project(&Project::default());
            // Whatever became of it: a manifest that can be seen is whole.
            for digest in project.list().await.unwrap() {
                project.find(digest).await.unwrap().verify().await.unwrap();
            }
            let error = first.unwrap_err();
            assert_eq!(error.code(), ErrorCode::Unavailable, "{error:?}");
            assert!(!error.to_string().contains("connection"), "causes are for the log: {error}");
            let again = write(&store).await.unwrap();
            read(&store, &again).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_failed_read_says_so_and_can_be_repeated() {
    for fails in [Fails::Before, Fails::After] {
        let mut failed = 0;
        for at in 0..16 {
            let folder = tempfile::tempdir().unwrap();
            let (faulty, store) = faulty(fails, folder.path()).await;
            let artifact = write(&store).await.unwrap();
            faulty.at.store(faulty.calls.load(Ordering::SeqCst) + at, Ordering::SeqCst);
            if let Err(error) = read(&store, &artifact).await {
                assert_eq!(error.code(), ErrorCode::Unavailable, "a fault is no damage: {error:?}");
                failed += 1;
                read(&store, &artifact).await.unwrap();
            }
        }
        assert!(failed >= 8, "{failed} reads failed");
    }
}

#[tokio::test]
async fn a_failed_sweep_deletes_nothing_that_is_held() {
    for at in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let (faulty, store) = faulty(Fails::Before, folder.path()).await;
        let artifact = write(&store).await.unwrap();
        let project = store.project(&Project::default());
        write_one(&project, b"garbage", &[artifact]).await;
        // A second store on the same objects, a day later.
        let config = StoreConfig::new(Location::Memory, folder.path());
        let later = Arc::new(ManualClock::at(SystemClock.now() + 25 * HOUR));
        let later = Store::on(faulty.clone(), &config, later).await.unwrap();
        let holder = Holder { roots: vec![artifact], ..Holder::default() };
        let start = faulty.calls.load(Ordering::SeqCst);
        faulty.at.store(start + at, Ordering::SeqCst);
        let swept = later.sweep(&Project::default(), &[&holder], false).await;
        let reached = faulty.calls.load(Ordering::SeqCst) > start + at;
        faulty.at.store(NEVER, Ordering::SeqCst);
        read(&store, &artifact).await.unwrap();
        if !reached {
            assert_eq!((swept.unwrap().deleted, at > 4), (2, true), "{at} faults fired");
            break;
        }
        assert_eq!(swept.unwrap_err().code(), ErrorCode::Unavailable);
        // What it left is swept the next time.
        later.sweep(&Project::default(), &[&holder], false).await.unwrap();
        assert_eq!(store.usage(&Project::default()).await.unwrap().objects, 3);
    }
}
