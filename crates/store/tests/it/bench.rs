//! A store to test, with a clock that the test moves and a way to damage what is stored.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use gristmill_store::object_store::local::LocalFileSystem;
use gristmill_store::object_store::memory::InMemory;
use gristmill_store::object_store::path::Path;
use gristmill_store::object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use gristmill_store::{Location, Producer, ProjectStore, Store, StoreConfig, Unpinned};
use gristmill_types::{ArtifactKind, ArtifactRef, Clock, Digest, ManualClock, Micros, Name, Project, SystemClock};
use tempfile::TempDir;

pub const HOUR: Micros = 3_600_000_000;

pub struct Bench {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub config: StoreConfig,
    /// The objects without the store in front, to damage them.
    pub objects: Arc<dyn ObjectStore>,
    pub dir: TempDir,
}

impl Bench {
    /// A folder.
    pub async fn local() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig::new(Location::Local(dir.path().join("store")), dir.path().join("cache"));
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let store = Store::open(&config, clock.clone()).await.unwrap();
        let objects = Arc::new(LocalFileSystem::new_with_prefix(dir.path().join("store")).unwrap());
        Self { store, clock, config, objects, dir }
    }

    /// Memory, read and written as a remote store is.
    pub async fn memory() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = StoreConfig::new(Location::Memory, dir.path().join("cache"));
        config.cache_bytes = 40 << 20;
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let objects: Arc<dyn ObjectStore> = Arc::new(Dated::new(clock.clone()));
        let store = Store::on(objects.clone(), &config, clock.clone()).await.unwrap();
        Self { store, clock, config, objects, dir }
    }

    pub fn project(&self) -> ProjectStore {
        self.store.project(&Project::default())
    }

    /// Where the object of this digest is.
    pub async fn object(&self, digest: Digest) -> Path {
        let all: Vec<ObjectMeta> = self.objects.list(None).try_collect().await.unwrap();
        let found = all.into_iter().find(|meta| meta.location.as_ref().ends_with(&digest.to_string()));
        found.map(|meta| meta.location).unwrap()
    }

    /// Puts other bytes in the place of an object.
    pub async fn damage(&self, digest: Digest, bytes: Vec<u8>) {
        self.objects.put(&self.object(digest).await, PutPayload::from(bytes)).await.unwrap();
    }

    pub async fn lose(&self, digest: Digest) {
        self.objects.delete(&self.object(digest).await).await.unwrap();
    }

    /// How many objects the default project has.
    pub async fn count(&self) -> u64 {
        self.store.usage(&Project::default()).await.unwrap().objects
    }
}

pub fn producer() -> Producer {
    Producer {
        cpu_class: Name::new("any").unwrap(),
        logic_version: 1,
        spec_digest: Digest::of(b"spec"),
        stage: Name::new("test").unwrap(),
    }
}

/// Bytes that do not repeat with the chunk size.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

/// Writes an artifact of one part.
pub async fn write_one(project: &ProjectStore, bytes: &[u8], inputs: &[ArtifactRef]) -> ArtifactRef {
    let mut writer = project.write(ArtifactKind::Dataset, producer(), inputs.iter().copied());
    writer.part_bytes("rows.parquet", bytes.to_vec()).await.unwrap();
    writer.finish(&Unpinned).await.unwrap()
}

/// An object store in memory that dates objects by the test's clock.
#[derive(Debug)]
struct Dated {
    inner: InMemory,
    clock: Arc<ManualClock>,
    dates: Arc<Mutex<HashMap<Path, Micros>>>,
}

impl Dated {
    fn new(clock: Arc<ManualClock>) -> Self {
        Self { inner: InMemory::new(), clock, dates: Arc::default() }
    }

    fn date(&self, location: &Path) {
        self.dates.lock().unwrap().insert(location.clone(), self.clock.now());
    }
}

fn dated(dates: &Mutex<HashMap<Path, Micros>>, mut meta: ObjectMeta) -> ObjectMeta {
    if let Some(micros) = dates.lock().unwrap().get(&meta.location) {
        meta.last_modified = chrono::DateTime::from_timestamp_micros(*micros).unwrap();
    }
    meta
}

impl fmt::Display for Dated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dated")
    }
}

#[async_trait]
impl ObjectStore for Dated {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let result = self.inner.put_opts(location, payload, opts).await?;
        self.date(location);
        Ok(result)
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.date(location);
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut result = self.inner.get_opts(location, options).await?;
        result.meta = dated(&self.dates, result.meta);
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let dates = self.dates.clone();
        self.inner.list(prefix).map(move |meta| meta.map(|meta| dated(&dates, meta))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        self.date(to);
        Ok(())
    }
}
