//! Measures puts and gets of 64 MiB artifacts on a folder and on S3 over HTTP:
//! `cargo test --release -p gristmill-store --test it speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use gristmill_s3server::{BUCKET, S3Server, WRITER};
use gristmill_store::Unpinned;
use gristmill_store::object_store::aws::AmazonS3Builder;
use gristmill_store::object_store::{ObjectStoreExt, WriteMultipart};
use gristmill_types::ArtifactKind;

use super::bench::{Bench, pattern, producer};

const MIB: usize = 64;
const ROUNDS: u8 = 5;

/// Megabytes per second of the middle round.
fn rate(mut seconds: Vec<Duration>) -> f64 {
    seconds.sort();
    MIB as f64 * 1.048_576 / seconds[seconds.len() / 2].as_secs_f64()
}

async fn measure(name: &str, bench: Bench) {
    let project = bench.project();
    let mut bytes = pattern(MIB << 20);
    let (mut put, mut streamed, mut mapped, mut again) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        bytes[0] = round;
        let start = Instant::now();
        let mut writer = project.write(ArtifactKind::Dataset, producer(), []);
        writer.part_bytes("rows.parquet", bytes.clone()).await.unwrap();
        let artifact = writer.finish(&Unpinned).await.unwrap();
        put.push(start.elapsed());
        let part = project.open(&artifact).await.unwrap().part("rows.parquet").unwrap();
        let start = Instant::now();
        let read = part.stream().try_fold(0, |sum, piece| async move { Ok(sum + piece.len()) }).await.unwrap();
        streamed.push(start.elapsed());
        assert_eq!(read, bytes.len());
        let start = Instant::now();
        drop(part.path().await.unwrap());
        mapped.push(start.elapsed());
        let start = Instant::now();
        assert_eq!(part.bytes().await.unwrap().len(), bytes.len());
        again.push(start.elapsed());
    }
    println!(
        "{name:8} put {:5.0}  stream {:5.0}  local file {:5.0}  again {:5.0} MB/s ({MIB} MiB, middle of {ROUNDS})",
        rate(put),
        rate(streamed),
        rate(mapped),
        rate(again)
    );
}

/// The same bytes through the bare client, nothing hashed by us, nothing verified: what server and client
/// alone can do.
async fn measure_bare(server: &S3Server) {
    let client = AmazonS3Builder::new()
        .with_endpoint(server.endpoint())
        .with_allow_http(true)
        .with_bucket_name(BUCKET)
        .with_access_key_id(WRITER.key_id)
        .with_secret_access_key(WRITER.secret)
        .build()
        .unwrap();
    let bytes = bytes::Bytes::from(pattern(MIB << 20));
    let (path, piece) = ("bare".into(), 8 << 20);
    let (mut put, mut got) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let upload = client.put_multipart(&path).await.unwrap();
        let mut upload = WriteMultipart::new_with_chunk_size(upload, piece);
        for at in (0..bytes.len()).step_by(piece) {
            upload.wait_for_capacity(4).await.unwrap();
            upload.put(bytes.slice(at..at + piece));
        }
        upload.finish().await.unwrap();
        put.push(start.elapsed());
        let start = Instant::now();
        let ranges = (0..bytes.len() as u64).step_by(piece).map(|at| client.get_range(&path, at..at + piece as u64));
        let read: usize = futures::stream::iter(ranges)
            .buffered(2)
            .map_ok(|b| b.len())
            .try_fold(0, |a, b| async move { Ok(a + b) })
            .await
            .unwrap();
        got.push(start.elapsed());
        assert_eq!(read, bytes.len());
    }
    println!("bare s3  put {:5.0}  stream {:5.0} MB/s", rate(put), rate(got));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test --release -p gristmill-store --test it speed -- --ignored --nocapture"]
async fn megabytes_per_second() {
    measure("folder", Bench::local().await).await;
    let mut s3 = Bench::s3().await;
    s3.config.cache_bytes = 4 << 30;
    s3.store = gristmill_store::Store::open(&s3.config, s3.clock.clone()).await.unwrap();
    let server = S3Server::start().await.unwrap();
    measure("s3", s3).await;
    measure_bare(&server).await;
}
