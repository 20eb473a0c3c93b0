//! The artifact service: bytes in and out under the caller's permission.

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use gristmill_proto::artifact as message;
use gristmill_proto::artifact::artifact_service_server::ArtifactService;
use gristmill_proto::artifact::upload_artifact_request::{Begin, Item};
use gristmill_rpc::{CHUNK_BYTES, Caller, Problem};
use gristmill_stage::store_problem;
use gristmill_store::{Artifact, Holder, HolderError, Part, PartEntry, Producer, ProjectStore, Store, Unpinned};
use gristmill_types::{ArtifactKind, ArtifactRef, Digest, ErrorCode, Name, Permission, Project};
use tonic::{Request, Response, Status, Streaming};

use crate::{Holders, RegistryError};

/// Raised when the same upload would give other bytes.
const LOGIC_VERSION: u32 = 1;
/// A part's name when the caller gives none.
const UNNAMED: &str = "data";
const MAX_NAME: usize = 128;

/// The service over the store.
#[derive(Debug)]
pub(crate) struct Artifacts {
    store: Store,
    max_upload_bytes: u64,
    producer: Producer,
    holders: Holders,
}

impl Artifacts {
    pub(crate) fn new(store: Store, max_upload_bytes: u64, holders: Holders) -> Result<Self, RegistryError> {
        let name = |text: &str| Name::new(text).map_err(|error| RegistryError::Config(error.to_string()));
        // No spec decides an upload's bytes: equal files are one artifact, whoever sent them.
        let producer = Producer {
            stage: name("upload")?,
            logic_version: LOGIC_VERSION,
            spec_digest: Digest::of(b""),
            cpu_class: name("any")?,
        };
        Ok(Self { store, max_upload_bytes, producer, holders })
    }

    async fn open(&self, project: &Project, asked: Option<&message::ArtifactRef>) -> Result<Artifact, Status> {
        let artifact = gristmill_proto::artifact_ref("artifact", asked).map_err(RegistryError::from)?;
        Ok(self.store.project(project).open(&artifact).await.map_err(store_problem)?)
    }

    /// Spools the chunks, compares with what was declared, publishes.
    async fn take(
        &self,
        project: ProjectStore,
        begin: &Declared,
        mut items: Streaming<message::UploadArtifactRequest>,
    ) -> Result<(ArtifactRef, u64), Status> {
        let mut writer = project.write(ArtifactKind::Source, self.producer.clone(), []);
        let mut sink = writer.part_sink(&begin.part).map_err(store_problem)?;
        let mut size = 0_u64;
        while let Some(item) = items.message().await? {
            let Some(Item::Chunk(chunk)) = item.item else {
                return Err(RegistryError::invalid("item", "after `begin` only chunks follow").into());
            };
            if chunk.len() > CHUNK_BYTES {
                let message = format!("{} bytes: a chunk has at most {CHUNK_BYTES}", chunk.len());
                return Err(RegistryError::invalid("chunk", message).into());
            }
            size += chunk.len() as u64;
            if size > self.max_upload_bytes {
                let message = format!("an upload has at most {} bytes", self.max_upload_bytes);
                return Err(RegistryError::invalid("chunk", message).into());
            }
            if sink.push(chunk).await.is_err() {
                // The disk refused; closing says why.
                break;
            }
        }
        let entry = writer.part_done(sink).await.map_err(store_problem)?;
        if let Some(declared) = begin.digest
            && declared != entry.digest()
        {
            let message = format!("{} bytes came with digest {}: send the file again", entry.size(), entry.digest());
            return Err(RegistryError::invalid("digest", message).into());
        }
        let artifact = writer.finish(&Unpinned).await.map_err(store_problem)?;
        Ok((artifact, size))
    }
}

/// What an upload begins with, checked.
struct Declared {
    part: String,
    digest: Option<Digest>,
}

#[tonic::async_trait]
impl ArtifactService for Artifacts {
    async fn upload_artifact(
        &self,
        request: Request<Streaming<message::UploadArtifactRequest>>,
    ) -> Result<Response<message::UploadArtifactResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut items = request.into_inner();
        let Some(Item::Begin(begin)) = items.message().await?.and_then(|item| item.item) else {
            return Err(RegistryError::invalid("item", "the first message is `begin`").into());
        };
        let project = caller.project(&begin.project)?;
        let declared = declared(&begin)?;
        let (artifact, size) = self.take(self.store.project(&project), &declared, items).await?;
        tracing::info!(%project, %artifact, size, by = caller.principal().audit_name(), "source uploaded");
        Ok(Response::new(message::UploadArtifactResponse { artifact: Some(artifact.into()), size }))
    }

    type ReadArtifactStream = BoxStream<'static, Result<message::ReadArtifactResponse, Status>>;

    async fn read_artifact(
        &self,
        request: Request<message::ReadArtifactRequest>,
    ) -> Result<Response<Self::ReadArtifactStream>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let artifact = self.open(&project, m.artifact.as_ref()).await?;
        let part = part(&artifact, &m.part)?;
        let size = part.entry().size();
        if m.offset > size {
            let message = format!("the part has {size} bytes: start at or before its end");
            return Err(RegistryError::invalid("offset", message).into());
        }
        let pieces = part.stream_from(m.offset).map_err(|error| Status::from(store_problem(error)));
        let chunks = pieces.map_ok(|piece| futures::stream::iter(cut(piece)).map(Ok)).try_flatten();
        Ok(Response::new(chunks.boxed()))
    }

    async fn get_artifact(
        &self,
        request: Request<message::GetArtifactRequest>,
    ) -> Result<Response<message::GetArtifactResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let artifact = self.open(&project, m.artifact.as_ref()).await?;
        Ok(Response::new(message::GetArtifactResponse { artifact: Some(describe(&artifact)) }))
    }

    async fn sweep_artifacts(
        &self,
        request: Request<message::SweepArtifactsRequest>,
    ) -> Result<Response<message::SweepArtifactsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let gone = gone(&caller, &m.forget_holders)?;
        let swept = self.holders.sweep(&self.store, &project, &gone, m.dry_run).await?;
        let by = caller.principal().audit_name();
        if !gone.is_empty() && !m.dry_run {
            tracing::warn!(holders = ?m.forget_holders, by, "holders forgotten");
        }
        tracing::info!(%project, dry_run = m.dry_run, objects = swept.deleted, bytes = swept.deleted_bytes, by, "artifacts collected");
        Ok(Response::new(message::SweepArtifactsResponse {
            deleted: swept.deleted,
            deleted_bytes: swept.deleted_bytes,
            spared: swept.spared,
            spared_bytes: swept.spared_bytes,
            kept: swept.kept,
            kept_bytes: swept.kept_bytes,
        }))
    }
}

/// Holders that the caller says are gone. A store is all projects', so is the right to say so.
fn gone(caller: &Caller, texts: &[String]) -> Result<Vec<Holder>, Problem> {
    if !texts.is_empty() && !caller.principal().may_everywhere(Permission::Administer) {
        let message = "a holder is forgotten for all projects: ask somebody who administers all of them";
        return Err(Problem::new(ErrorCode::PermissionDenied, "NOT_PERMITTED", message)
            .with("permission", Permission::Administer.as_str()));
    }
    let read = |text: &String| text.parse().map_err(|error: HolderError| error.to_string());
    let read = texts.iter().map(read).collect::<Result<_, _>>();
    read.map_err(|message| RegistryError::invalid("forget_holders", message).into())
}

/// Pieces of at most [`CHUNK_BYTES`].
fn cut(mut piece: Bytes) -> Vec<message::ReadArtifactResponse> {
    let mut chunks = Vec::new();
    while !piece.is_empty() {
        let chunk = piece.split_to(piece.len().min(CHUNK_BYTES));
        chunks.push(message::ReadArtifactResponse { chunk: chunk.to_vec() });
    }
    chunks
}

/// The part of this name, or the only one.
fn part(artifact: &Artifact, name: &str) -> Result<Part, Status> {
    let parts = artifact.manifest().parts();
    let name = match (name, parts) {
        ("", [only]) => only.name(),
        ("", _) => {
            let names: Vec<&str> = parts.iter().map(PartEntry::name).collect();
            return Err(RegistryError::invalid("part", format!("name one of {}", names.join(", "))).into());
        }
        (name, _) => name,
    };
    Ok(artifact.part(name).map_err(store_problem)?)
}

/// A file name becomes a part name: what a part may not be called is replaced by `_`, a path is refused.
fn declared(begin: &Begin) -> Result<Declared, RegistryError> {
    if begin.name.contains(['/', '\\']) {
        return Err(RegistryError::invalid("begin.name", "give the file's name without folders"));
    }
    let kept = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let mut part: String = begin.name.chars().map(kept).collect::<String>().replace("..", "_");
    if !part.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        part.insert_str(0, UNNAMED);
    }
    if part.len() > MAX_NAME {
        return Err(RegistryError::invalid("begin.name", format!("at most {MAX_NAME} bytes")));
    }
    let digest = (!begin.digest.is_empty()).then(|| begin.digest.parse()).transpose();
    let digest = digest
        .map_err(|error: gristmill_types::DigestError| RegistryError::invalid("begin.digest", error.to_string()))?;
    Ok(Declared { part, digest })
}

fn describe(artifact: &Artifact) -> message::Artifact {
    let manifest = artifact.manifest();
    let part = |part: &PartEntry| message::ArtifactPart {
        name: part.name().to_owned(),
        digest: part.digest().to_string(),
        size: part.size(),
    };
    message::Artifact {
        r#ref: Some(artifact.artifact().into()),
        parts: manifest.parts().iter().map(part).collect(),
        inputs: manifest.inputs().iter().map(|input| (*input).into()).collect(),
        stage: manifest.producer().stage.to_string(),
        logic_version: manifest.producer().logic_version,
        spec_digest: manifest.producer().spec_digest.to_string(),
    }
}
