//! A store to test, with a clock that the test moves and a way to damage what is stored.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use gristmill_s3server::{Account, BUCKET, ConditionalPuts, S3Server, WRITER};
use gristmill_store::object_store::local::LocalFileSystem;
use gristmill_store::object_store::memory::InMemory;
use gristmill_store::object_store::path::Path;
use gristmill_store::object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use gristmill_store::{Location, Producer, ProjectStore, Store, StoreConfig, Unpinned};
use gristmill_types::{
    ArtifactKind, ArtifactRef, Clock, Digest, ManualClock, Micros, Name, Project, SecretRef, SystemClock,
};
use tempfile::TempDir;

pub const HOUR: Micros = 3_600_000_000;

pub struct Bench {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub config: StoreConfig,
    /// The objects without the store in front, to damage them.
    pub objects: Arc<dyn ObjectStore>,
    pub server: Option<S3Server>,
    pub dir: TempDir,
}

/// Tries come fast after one another, because nobody else waits for the same server.
pub const PAUSE_MS: u64 = 1;

impl Bench {
    /// A folder.
    pub async fn local() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig::new(Location::Local(dir.path().join("store")), dir.path().join("cache"));
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let store = Store::open(&config, clock.clone()).await.unwrap();
        let objects = Arc::new(LocalFileSystem::new_with_prefix(dir.path().join("store")).unwrap());
        Self { store, clock, config, objects, server: None, dir }
    }

    /// Memory, read and written as a remote store is.
    pub async fn memory() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = StoreConfig::new(Location::Memory, dir.path().join("cache"));
        config.cache_bytes = 40 << 20;
        config.remote.pause_ms = PAUSE_MS;
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let objects: Arc<dyn ObjectStore> = Arc::new(Dated::new(clock.clone()));
        let store = Store::on(objects.clone(), &config, clock.clone()).await.unwrap();
        Self { store, clock, config, objects, server: None, dir }
    }

    /// S3 over HTTP, below a prefix of the bucket.
    ///
    /// Our clock is an hour behind the server's and stands still: ages must come from the server.
    pub async fn s3() -> Self {
        Self::s3_where(ConditionalPuts::Obeyed).await
    }

    /// An S3 server that takes no notice of `If-None-Match`.
    pub async fn s3_unconditional() -> Self {
        Self::s3_where(ConditionalPuts::Ignored).await
    }

    async fn s3_where(conditional: ConditionalPuts) -> Self {
        let server = S3Server::start().await.unwrap();
        server.conditional_puts(conditional);
        let dir = tempfile::tempdir().unwrap();
        let mut config = s3_config(&server, WRITER, dir.path());
        config.cache_bytes = 40 << 20;
        let clock = Arc::new(ManualClock::at(SystemClock.now() - HOUR));
        let store = Store::open(&config, clock.clone()).await.unwrap();
        let folder = server.bucket_folder().join(PREFIX);
        std::fs::create_dir_all(&folder).unwrap();
        let objects = Arc::new(LocalFileSystem::new_with_prefix(folder).unwrap());
        Self { store, clock, config, objects, server: Some(server), dir }
    }

    /// Makes everything that is stored older; for a server's objects that happens behind its back.
    pub fn advance(&self, micros: Micros) {
        match &self.server {
            Some(server) => age_files(&server.bucket_folder(), Duration::from_micros(micros as u64)),
            None => self.clock.advance(micros),
        }
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

const PREFIX: &str = "teams/tabular";

/// How a server is reached by an account.
pub fn s3_config(server: &S3Server, account: Account, folder: &std::path::Path) -> StoreConfig {
    let secret = folder.join(account.key_id);
    std::fs::write(&secret, account.secret).unwrap();
    let id = folder.join(format!("{}.id", account.key_id));
    std::fs::write(&id, account.key_id).unwrap();
    let url = format!("s3://{BUCKET}/{PREFIX}").parse().unwrap();
    let mut config = StoreConfig::new(url, folder.join("cache"));
    let file = |path: std::path::PathBuf| Some(SecretRef::File(path.to_str().unwrap().to_owned()));
    config.remote.endpoint = Some(server.endpoint().to_owned());
    config.remote.allow_http = true;
    config.remote.access_key_id = file(id);
    config.remote.secret_access_key = file(secret);
    config.remote.pause_ms = PAUSE_MS;
    config
}

fn age_files(folder: &std::path::Path, by: Duration) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            age_files(&path, by);
        } else {
            let file = std::fs::File::open(&path).unwrap();
            file.set_modified(file.metadata().unwrap().modified().unwrap() - by).unwrap();
        }
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
pub struct Dated {
    inner: InMemory,
    clock: Arc<ManualClock>,
    dates: Arc<Mutex<HashMap<Path, Micros>>>,
}

impl Dated {
    pub fn new(clock: Arc<ManualClock>) -> Self {
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
