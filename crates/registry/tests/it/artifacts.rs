//! The artifact service: bytes in and out over the contract.

use futures::{StreamExt, TryStreamExt};
use gristmill_proto::artifact as message;
use gristmill_proto::artifact::upload_artifact_request::{Begin, Item};
use gristmill_registry::RegistryConfig;
use gristmill_rpc::{CHUNK_BYTES, Problem};
use gristmill_types::{ArtifactKind, ArtifactRef, Digest, ErrorCode};

use super::bench::Bench;

fn item(item: Item) -> message::UploadArtifactRequest {
    message::UploadArtifactRequest { item: Some(item) }
}

fn upload(name: &str, digest: &str, bytes: &[u8]) -> Vec<message::UploadArtifactRequest> {
    let begin = Begin { project: String::new(), name: name.into(), digest: digest.into() };
    let chunks = bytes.chunks(CHUNK_BYTES).map(|chunk| item(Item::Chunk(chunk.to_vec())));
    std::iter::once(item(Item::Begin(begin))).chain(chunks).collect()
}

async fn send(
    bench: &Bench,
    items: Vec<message::UploadArtifactRequest>,
) -> Result<message::UploadArtifactResponse, Problem> {
    let sent = bench.artifacts().upload_artifact(futures::stream::iter(items)).await;
    sent.map(tonic::Response::into_inner).map_err(Problem::from)
}

async fn read(bench: &Bench, request: message::ReadArtifactRequest) -> Result<Vec<u8>, Problem> {
    let chunks = bench.artifacts().read_artifact(request).await.map_err(Problem::from)?.into_inner();
    let chunks: Vec<_> = chunks.try_collect().await.map_err(Problem::from)?;
    assert!(chunks.iter().all(|chunk| (1..=CHUNK_BYTES).contains(&chunk.chunk.len())));
    Ok(chunks.into_iter().flat_map(|chunk| chunk.chunk).collect())
}

fn of(artifact: &Option<message::ArtifactRef>, part: &str, offset: u64) -> message::ReadArtifactRequest {
    message::ReadArtifactRequest { artifact: artifact.clone(), part: part.into(), offset, ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_up_and_comes_down_in_process() {
    up_and_down(Bench::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_up_and_comes_down_over_the_network() {
    up_and_down(Bench::new().await.over_the_network().await).await;
}

async fn up_and_down(bench: Bench) {
    let bytes: Vec<u8> = (0..(9 << 20) + 5).map(|i: usize| (i * 31 % 253) as u8).collect();
    let digest = Digest::of(&bytes).to_string();
    let done = send(&bench, upload("my flights.parquet", &digest, &bytes)).await.unwrap();
    assert_eq!((done.size, done.artifact.as_ref().unwrap().kind.as_str()), (bytes.len() as u64, "source"));
    // The same file under the same name is the same artifact, with or without its digest.
    assert_eq!(send(&bench, upload("my flights.parquet", "", &bytes)).await.unwrap(), done);

    let request = message::GetArtifactRequest { artifact: done.artifact.clone(), ..Default::default() };
    let found = bench.artifacts().get_artifact(request).await.unwrap().into_inner().artifact.unwrap();
    assert_eq!((found.r#ref, found.stage.as_str(), found.parts.len()), (done.artifact.clone(), "upload", 1));
    assert_eq!((found.parts[0].name.as_str(), &found.parts[0].digest), ("my_flights.parquet", &digest));

    assert!(read(&bench, of(&done.artifact, "", 0)).await.unwrap() == bytes);
    let offset = (8 << 20) + 3;
    assert!(read(&bench, of(&done.artifact, "my_flights.parquet", offset as u64)).await.unwrap() == bytes[offset..]);
    assert!(read(&bench, of(&done.artifact, "", bytes.len() as u64)).await.unwrap().is_empty());
    let past = read(&bench, of(&done.artifact, "", bytes.len() as u64 + 1)).await.unwrap_err();
    assert_eq!((past.code, past.violations[0].field.as_str()), (ErrorCode::InvalidArgument, "offset"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_uploads_are_refused_and_leave_nothing() {
    let bench = Bench::with(&RegistryConfig { max_upload_bytes: 3 << 20, ..RegistryConfig::default() }).await;
    let other = Digest::of(b"other").to_string();
    let begin = upload("x.csv", "", b"");
    let long_chunk = item(Item::Chunk(vec![0; CHUNK_BYTES + 1]));
    for (items, field) in [
        (vec![], "item"),
        (vec![item(Item::Chunk(b"a".to_vec()))], "item"),
        ([begin.clone(), begin.clone()].concat(), "item"),
        ([begin.clone(), vec![long_chunk]].concat(), "chunk"),
        (upload("x.csv", "", &vec![0; 4 << 20]), "chunk"),
        (upload("x.csv", &other, b"a,b"), "digest"),
        (upload("x.csv", "abc", b"a,b"), "begin.digest"),
        (upload("../../etc/passwd", "", b"a,b"), "begin.name"),
        (upload("a\\b", "", b"a,b"), "begin.name"),
    ] {
        let problem = send(&bench, items).await.unwrap_err();
        assert_eq!((problem.code, problem.violations[0].field.as_str()), (ErrorCode::InvalidArgument, field));
    }
    assert!(bench.store().list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_part_is_named_unless_it_is_the_only_one() {
    let bench = Bench::new().await;
    let model = bench.model("trees", &[]).await;
    let evaluation = Some(bench.evaluation(model, "passed").await.into());
    let unnamed = read(&bench, of(&evaluation, "", 0)).await.unwrap_err();
    assert!(unnamed.message.contains("evaluation.json, verdict.json"), "{unnamed}");
    assert!(read(&bench, of(&evaluation, "verdict.json", 0)).await.unwrap().ends_with(b"}"));
    let unknown = read(&bench, of(&evaluation, "report.html", 0)).await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn damage_and_absence_are_told_apart() {
    let bench = Bench::new().await;
    let model = bench.model("true trees", &[]).await;
    bench.tamper("true trees", "fake trees");
    let damaged = read(&bench, of(&Some(model.into()), "", 0)).await.unwrap_err();
    assert_eq!((damaged.code, &*damaged.reason), (ErrorCode::DataLoss, "ARTIFACT_DAMAGED"));
    assert!(damaged.message.contains("model.gmm") && !damaged.message.contains('\n'), "{damaged}");

    let nowhere = ArtifactRef { kind: ArtifactKind::Model, digest: Digest::of(b"nowhere") };
    let missing = read(&bench, of(&Some(nowhere.into()), "", 0)).await.unwrap_err();
    assert_eq!(missing.code, ErrorCode::NotFound);
    let elsewhere = message::ReadArtifactRequest { project: "other".into(), ..of(&Some(model.into()), "", 0) };
    assert_eq!(read(&bench, elsewhere).await.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test]
async fn a_broken_off_upload_leaves_nothing() {
    let bench = Bench::new().await;
    let (tell, told) = tokio::sync::oneshot::channel();
    // Asked for the item after the last one, so those before have gone out; then it never ends.
    let silence = futures::stream::once(async move {
        tell.send(()).unwrap();
        std::future::pending().await
    });
    let items = futures::stream::iter(upload("x.csv", "", b"half of it")).chain(silence);
    let mut client = bench.artifacts();
    tokio::select! {
        answered = client.upload_artifact(items) => panic!("{answered:?}"),
        sent = told => sent.unwrap(),
    }
    assert!(bench.store().list().await.unwrap().is_empty());
}
