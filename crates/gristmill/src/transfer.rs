//! Files to the artifact service and back.

use std::path::Path;

use futures::stream;
use gristmill_proto::artifact as message;
use gristmill_proto::artifact::artifact_service_client::ArtifactServiceClient;
use gristmill_rpc::{CHUNK_BYTES, Channel, Request};
use indicatif::ProgressBar;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::failure::Failure;

/// Uploads one file as a `source` artifact; equal bytes are the same artifact.
///
/// # Errors
/// The file cannot be read, or the service refuses it.
pub async fn upload(
    client: &mut ArtifactServiceClient<Channel>,
    project: &str,
    path: &Path,
    bar: &ProgressBar,
) -> Result<message::ArtifactRef, Failure> {
    use message::upload_artifact_request::{Begin, Item};
    let unreadable = |error| Failure::usage(format!("{}: {error}", path.display()));
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let metadata = file.metadata().await.map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Failure::usage(format!("{} is not a file", path.display())));
    }
    bar.set_length(metadata.len());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let begin = Begin { project: project.to_owned(), name, digest: String::new() };
    let wrap = |item| message::UploadArtifactRequest { item: Some(item) };
    let first = stream::iter([wrap(Item::Begin(begin))]);
    // A read error in the middle ends the stream early; what it was is told here, not by the service.
    let (broken, mut breakage) = tokio::sync::mpsc::channel(1);
    let counted = bar.clone();
    let rest = stream::unfold((file, broken), move |(mut file, broken)| {
        let counted = counted.clone();
        async move {
            let mut chunk = vec![0; CHUNK_BYTES];
            match file.read(&mut chunk).await {
                Ok(0) => None,
                Ok(read) => {
                    counted.inc(read as u64);
                    chunk.truncate(read);
                    Some((wrap(Item::Chunk(chunk)), (file, broken)))
                }
                Err(error) => {
                    let _receiver_lives = broken.send(error).await;
                    None
                }
            }
        }
    });
    let sent = client.upload_artifact(Request::new(futures::StreamExt::chain(first, rest))).await;
    if let Ok(error) = breakage.try_recv() {
        return Err(unreadable(error));
    }
    let answer = sent?.into_inner();
    bar.finish_and_clear();
    answer.artifact.ok_or_else(|| Failure::failed("the artifact service named no artifact"))
}

/// Reads one part into memory; empty for the only one.
///
/// # Errors
/// What the service says.
pub async fn read(
    client: &mut ArtifactServiceClient<Channel>,
    project: &str,
    artifact: &message::ArtifactRef,
    part: &str,
) -> Result<Vec<u8>, Failure> {
    let mut pieces = client.read_artifact(request(project, artifact, part)).await?.into_inner();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.message().await? {
        bytes.extend_from_slice(&piece.chunk);
    }
    Ok(bytes)
}

/// Writes one part into a file: first beside it, then in its place, so that no half file is ever there.
///
/// # Errors
/// What the service says, or the file cannot be written.
pub async fn download(
    client: &mut ArtifactServiceClient<Channel>,
    project: &str,
    artifact: &message::ArtifactRef,
    part: &str,
    path: &Path,
) -> Result<u64, Failure> {
    let unwritable = |error| Failure::failed(format!("{}: {error}", path.display()));
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = Path::new(&beside);
    let mut pieces = client.read_artifact(request(project, artifact, part)).await?.into_inner();
    let mut file = tokio::fs::File::create(beside).await.map_err(unwritable)?;
    let mut size = 0;
    let copied = async {
        while let Some(piece) = pieces.message().await? {
            size += piece.chunk.len() as u64;
            file.write_all(&piece.chunk).await.map_err(unwritable)?;
        }
        file.sync_all().await.map_err(unwritable)?;
        tokio::fs::rename(beside, path).await.map_err(unwritable)
    };
    if let Err(failure) = copied.await {
        let _gone = tokio::fs::remove_file(beside).await;
        return Err(failure);
    }
    Ok(size)
}

fn request(project: &str, artifact: &message::ArtifactRef, part: &str) -> message::ReadArtifactRequest {
    message::ReadArtifactRequest {
        project: project.to_owned(),
        artifact: Some(artifact.clone()),
        part: part.to_owned(),
        offset: 0,
    }
}
