//! Makes spooled bytes visible under their digest.

use std::io::Read;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use gristmill_types::Micros;
use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, ObjectMeta, ObjectStoreExt, PutMode, PutPayload, WriteMultipart};

use crate::StoreError;
use crate::error::blocking;
use crate::key::Key;
use crate::spool::Spooled;
use crate::store::Inner;

/// Up to this many bytes go up in one request, more as a multipart upload of pieces of this size.
const PIECE: usize = 8 << 20;
/// Pieces under way at once.
const PIECES_AHEAD: usize = 4;
const PUBLISHING: &str = "publishing a part";

/// What a put found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Absent,
    /// Young enough that no sweep may look at it before its writer commits.
    Fresh,
    /// Old, or not of the right size: written again, so that its age starts anew.
    Stale,
}

impl Inner {
    /// How long ago an object was put.
    pub(crate) fn age(&self, meta: &ObjectMeta) -> Micros {
        self.clock.now().saturating_sub(meta.last_modified.timestamp_micros())
    }

    /// Publishes one spooled file: create-if-absent; what is there already and younger than half the
    /// grace is left, anything else is put again.
    ///
    /// Only the last case needs the gate: what is fresh is no sweep's business before its writer commits,
    /// and what is absent was deleted already.
    /// Once this returns, the object is durable and of the right size.
    pub(crate) async fn publish(&self, key: &Key, spooled: Spooled) -> Result<(), StoreError> {
        let size = spooled.entry.size;
        match self.presence(key, size).await? {
            Presence::Fresh => return Ok(()),
            Presence::Absent => self.put(key, spooled, PutMode::Create).await?,
            Presence::Stale => {
                let _held = self.gate.shared().await?;
                self.put(key, spooled, PutMode::Overwrite).await?;
            }
        }
        if self.backend.root.is_none() && self.presence(key, size).await? == Presence::Absent {
            // S3 may answer "exists" to a conditional put that lost against another one that failed, and a
            // sweep in another process may delete between our look and our put. A retry succeeds.
            return Err(StoreError::Backend { doing: PUBLISHING, source: vanished(key) });
        }
        Ok(())
    }

    async fn presence(&self, key: &Key, size: u64) -> Result<Presence, StoreError> {
        Ok(match self.backend.head(key).await? {
            None => Presence::Absent,
            Some(meta) if meta.size != size => {
                tracing::warn!(%key.digest, expected = size, found = meta.size, "stored object has the wrong size, writing it again");
                Presence::Stale
            }
            Some(meta) if self.age(&meta) >= self.bounds.grace / 2 => Presence::Stale,
            Some(_) => Presence::Fresh,
        })
    }

    async fn put(&self, key: &Key, spooled: Spooled, mode: PutMode) -> Result<(), StoreError> {
        match &self.backend.root {
            Some(root) => {
                let from = relative(root, &spooled.temp).ok_or(StoreError::Thread(PUBLISHING))?;
                self.link(key, &from, spooled, mode).await
            }
            None if spooled.entry.size <= PIECE as u64 => self.put_small(key, spooled, mode).await,
            None => self.put_large(key, spooled).await,
        }
    }

    /// Puts a spooled file of the same file system under its key: its bytes are not copied.
    ///
    /// The file is synced here, its folder by the object store: without both, a power cut could leave a
    /// name that points to nothing.
    async fn link(&self, key: &Key, from: &Path, spooled: Spooled, mode: PutMode) -> Result<(), StoreError> {
        let now = UNIX_EPOCH + Duration::from_micros(u64::try_from(self.clock.now()).unwrap_or(0));
        let spooled = blocking(PUBLISHING, move || {
            spooled.file.set_modified(now).map_err(StoreError::io(PUBLISHING))?;
            spooled.file.sync_all().map_err(StoreError::io(PUBLISHING))?;
            Ok(spooled)
        })
        .await?;
        let objects = &self.backend.objects;
        let done = match mode {
            PutMode::Create => {
                objects.copy_opts(from, &key.path(), CopyOptions::new().with_mode(CopyMode::Create)).await
            }
            _ => objects.rename(from, &key.path()).await,
        };
        drop(spooled);
        accept_existing(done)
    }

    async fn put_small(&self, key: &Key, spooled: Spooled, mode: PutMode) -> Result<(), StoreError> {
        let bytes = blocking("reading a temporary file", move || {
            std::fs::read(&spooled.temp).map(Bytes::from).map_err(StoreError::io("reading a temporary file"))
        })
        .await?;
        let payload = PutPayload::from_bytes(bytes);
        accept_existing(self.backend.objects.put_opts(&key.path(), payload, mode.into()).await.map(drop))
    }

    /// A multipart upload shows its object only when it is complete, and replaces one of the same bytes.
    async fn put_large(&self, key: &Key, spooled: Spooled) -> Result<(), StoreError> {
        let failed = StoreError::backend;
        let upload = self.backend.objects.put_multipart(&key.path()).await.map_err(failed(PUBLISHING))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PIECE);
        let temp = spooled.temp;
        let mut file = std::fs::File::open(&temp).map_err(StoreError::io("reading a temporary file"))?;
        loop {
            let (piece, back) = blocking("reading a temporary file", move || read_piece(file)).await?;
            if piece.is_empty() {
                break;
            }
            file = back;
            if let Err(e) = upload.wait_for_capacity(PIECES_AHEAD).await {
                drop(upload.abort().await);
                return Err(failed(PUBLISHING)(e));
            }
            upload.put(piece);
        }
        upload.finish().await.map(drop).map_err(failed(PUBLISHING))
    }
}

fn read_piece(mut file: std::fs::File) -> Result<(Bytes, std::fs::File), StoreError> {
    let mut piece = Vec::with_capacity(PIECE);
    let read = file.by_ref().take(PIECE as u64).read_to_end(&mut piece);
    read.map_err(StoreError::io("reading a temporary file"))?;
    Ok((piece.into(), file))
}

/// Somebody else put the same bytes at the same moment, or our own reply was lost: either is success,
/// because the key is the digest.
fn accept_existing(done: object_store::Result<()>) -> Result<(), StoreError> {
    match done {
        Ok(()) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
        Err(e) => Err(StoreError::backend(PUBLISHING)(e)),
    }
}

fn vanished(key: &Key) -> object_store::Error {
    let source = "the object was deleted while it was being put".into();
    object_store::Error::NotFound { path: key.path().to_string(), source }
}

fn relative(root: &std::path::Path, file: &std::path::Path) -> Option<Path> {
    let inside = file.strip_prefix(root).ok()?;
    inside.iter().map(|part| part.to_str()).collect::<Option<Vec<&str>>>().map(Path::from_iter)
}
