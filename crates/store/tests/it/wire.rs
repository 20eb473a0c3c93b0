//! Faults of a real server and of the connection to it.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use gristmill_s3server::{S3Server, WRITER, WireFault};
use gristmill_store::{DamagedPart, ProjectStore, Store, StoreError, Unpinned};
use gristmill_types::{ArtifactKind, ArtifactRef, Clock, Digest, ErrorCode, ManualClock, Project, SystemClock};
use http::Method;

use super::bench::{HOUR, pattern, producer, s3_config};

const HANGS: Duration = Duration::from_secs(60);
/// More than one piece of a multipart upload, and more than one chunk of a read.
const LARGE: usize = (16 << 20) + 5;

struct Wired {
    server: S3Server,
    store: Store,
    _folder: tempfile::TempDir,
}

impl Wired {
    async fn new(request_timeout_ms: u64) -> Self {
        let server = S3Server::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut config = s3_config(&server, WRITER, folder.path());
        config.remote.request_timeout_ms = request_timeout_ms;
        let store = Store::open(&config, Arc::new(SystemClock)).await.unwrap();
        Self { server, store, _folder: folder }
    }

    /// Waits until no upload is under way.
    async fn aborted(&self) {
        let none = self.server.until(|server| server.open_uploads().is_ok_and(|open| open == 0));
        tokio::time::timeout(HANGS, none).await.unwrap();
    }

    fn project(&self) -> ProjectStore {
        self.store.project(&Project::default())
    }
}

async fn write(project: &ProjectStore, large: &[u8]) -> Result<ArtifactRef, StoreError> {
    let mut writer = project.write(ArtifactKind::Dataset, producer(), []);
    writer.part_bytes("dataset.json", "{}").await?;
    writer.part_bytes("rows.parquet", large.to_vec()).await?;
    writer.finish(&Unpinned).await
}

async fn read(project: &ProjectStore, artifact: &ArtifactRef, large: &[u8]) -> Result<(), StoreError> {
    let artifact = project.open(artifact).await?;
    assert_eq!(artifact.part("dataset.json")?.bytes().await?, "{}");
    let pieces: Vec<bytes::Bytes> = artifact.part("rows.parquet")?.stream().try_collect().await?;
    assert!(pieces.concat() == large);
    Ok(())
}

/// Writes, reads, lists and deletes; what comes of it.
async fn everything(wired: &Wired, large: &[u8]) -> Result<(ArtifactRef, u64, u64), StoreError> {
    let project = wired.project();
    let artifact = write(&project, large).await?;
    read(&project, &artifact, large).await?;
    let usage = wired.store.usage(project.project()).await?;
    Ok((artifact, usage.objects, usage.bytes))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_on_the_wire_changes_nothing() {
    let large = pattern(LARGE);
    let quiet = Wired::new(60_000).await;
    let expected = everything(&quiet, &large).await.unwrap();
    assert_eq!((quiet.server.fired(), quiet.server.open_uploads().unwrap()), (0, 0));
    let cases = [
        (Method::PUT, WireFault::Status(503)),
        (Method::PUT, WireFault::Status(500)),
        (Method::PUT, WireFault::Status(409)),
        (Method::PUT, WireFault::Status(412)),
        (Method::PUT, WireFault::LoseReply),
        (Method::POST, WireFault::Status(503)),
        (Method::PUT, WireFault::Status(404)),
        (Method::GET, WireFault::Status(503)),
        (Method::GET, WireFault::Status(429)),
        (Method::GET, WireFault::LoseReply),
        (Method::GET, WireFault::CutBody),
        (Method::GET, WireFault::FlipBit),
        (Method::HEAD, WireFault::Status(503)),
        (Method::HEAD, WireFault::LoseReply),
    ];
    for (method, fault) in cases {
        let wired = Wired::new(60_000).await;
        // Of a list, a flipped bit may be a legal other list: only reads of objects are verified.
        let times = if fault == WireFault::FlipBit { 1 } else { 2 };
        wired.server.inject(method.clone(), fault, times);
        let outcome = tokio::time::timeout(HANGS, everything(&wired, &large)).await.unwrap();
        assert_eq!(outcome.unwrap(), expected, "{method} {fault:?}");
        assert_eq!(wired.server.fired(), times, "{method} {fault:?}");
        assert_eq!(wired.server.open_uploads().unwrap(), 0, "{method} {fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_whose_answers_are_lost_has_landed() {
    let large = pattern(LARGE);
    let quiet = Wired::new(60_000).await;
    let expected = everything(&quiet, &large).await.unwrap();
    // The first POST begins the upload, the second completes it. A beginning whose answer is lost leaves an
    // upload that nobody can name: that is what the bucket's lifecycle rule is for.
    for (skipped, orphans) in [(0, 1), (1, 0)] {
        let wired = Wired::new(60_000).await;
        wired.server.inject_after(Method::POST, WireFault::LoseReply, skipped, 1);
        assert_eq!(everything(&wired, &large).await.unwrap(), expected);
        assert_eq!((wired.server.fired(), wired.server.open_uploads().unwrap()), (1, orphans));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_answers_is_left() {
    let large = pattern(LARGE);
    for method in [Method::PUT, Method::GET, Method::HEAD, Method::POST] {
        let wired = Wired::new(2_000).await;
        wired.server.inject(method.clone(), WireFault::Stall, 1);
        tokio::time::timeout(HANGS, everything(&wired, &large)).await.unwrap().unwrap();
        assert_eq!(wired.server.fired(), 1, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_pass_on_the_wire_is_an_error() {
    let large = pattern(LARGE);
    for (method, fault, code) in [
        (Method::PUT, WireFault::Status(503), ErrorCode::Unavailable),
        (Method::HEAD, WireFault::LoseReply, ErrorCode::Unavailable),
        (Method::GET, WireFault::CutBody, ErrorCode::Unavailable),
        (Method::GET, WireFault::FlipBit, ErrorCode::DataLoss),
    ] {
        let wired = Wired::new(60_000).await;
        let artifact = write(&wired.project(), &large).await.unwrap();
        wired.server.inject(method.clone(), fault, usize::MAX);
        let project = wired.project();
        let error = if matches!(method, Method::PUT | Method::HEAD) {
            write(&project, &large[1..]).await.unwrap_err()
        } else {
            read(&project, &artifact, &large).await.unwrap_err()
        };
        assert_eq!(error.code(), code, "{method} {fault:?}: {error:?}");
        if let StoreError::DataLoss { artifact: named, part, .. } = &error {
            assert_eq!((*named, part), (artifact, &DamagedPart::Manifest));
        }
        assert!(wired.server.fired() >= 4, "{method} {fault:?}");
        // An upload that is given up is aborted; one that was left because another part failed, a moment later.
        wired.aborted().await;
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_nobody_waits_for_is_aborted() {
    let large = pattern(LARGE);
    let wired = Wired::new(60_000).await;
    // The first piece never gets an answer, so the upload is under way when it is left.
    wired.server.inject(Method::PUT, WireFault::Stall, 1);
    let project = wired.project();
    let mut writer = project.write(ArtifactKind::Dataset, producer(), []);
    writer.part_bytes("rows.parquet", large).await.unwrap();
    let finishing = tokio::spawn(async move { writer.finish(&Unpinned).await.map(drop) });
    tokio::time::timeout(HANGS, wired.server.until(|server| server.fired() == 1)).await.unwrap();
    assert_eq!(wired.server.open_uploads().unwrap(), 1);
    finishing.abort();
    wired.aborted().await;
    assert!(project.list().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_of_several_pages_is_whole() {
    let wired = Wired::new(60_000).await;
    let project = wired.project();
    write(&project, b"rows").await.unwrap();
    let manifests = wired.server.bucket_folder().join("teams/tabular/projects/default/artifacts");
    let digests: Vec<Digest> = (0..2_500_u32).map(|i| Digest::of(&i.to_le_bytes())).collect();
    for digest in &digests {
        std::fs::write(manifests.join(digest.to_string()), "{}").unwrap();
    }
    wired.server.inject_after(Method::GET, WireFault::Status(503), 1, 1);
    let listed = project.list().await.unwrap();
    assert_eq!((listed.len(), wired.server.fired()), (2_501, 1));
    assert!(digests.iter().all(|digest| listed.binary_search(digest).is_ok()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_makes_nothing_old() {
    let server = S3Server::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = s3_config(&server, WRITER, folder.path());
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let store = Store::open(&config, clock.clone()).await.unwrap();
    let project = store.project(&Project::default());
    let artifact = write(&project, b"rows").await.unwrap();
    // Days ahead when it starts, and set again while it runs: by our clock everything is old, or not made yet.
    for jump in [72 * HOUR, -140 * HOUR, 400 * HOUR] {
        clock.advance(jump);
        let other = Store::open(&config, clock.clone()).await.unwrap();
        for store in [&store, &other] {
            let report = store.sweep(&Project::default(), &[], false).await.unwrap();
            assert_eq!((report.spared, report.deleted), (3, 0), "{jump}");
            // Young by the server's clock, so it is left as it is.
            let before = server.requests();
            assert_eq!(write(&store.project(&Project::default()), b"rows").await.unwrap(), artifact);
            assert_eq!(server.requests() - before, 3, "one look at each of the three objects");
        }
    }
    project.verify(&artifact).await.unwrap();
}
