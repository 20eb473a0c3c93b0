//! Makes spooled bytes visible under their digest.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::FuturesUnordered;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, MultipartUpload, ObjectStoreExt, PutMode, PutMultipartOptions, PutPayload, UploadPart,
};

use crate::StoreError;
use crate::error::blocking;
use crate::key::Key;
use crate::patience::{Patience, is_transient};
use crate::spool::Spooled;
use crate::store::Inner;
use crate::time::age;

/// Up to this many bytes go up in one request, more as a multipart upload of pieces of this size.
const PIECE: usize = 8 << 20;
/// Pieces under way at once.
const PIECES_AHEAD: usize = 4;
const PUBLISHING: &str = "publishing a part";
const SPOOLED: &str = "reading a temporary file";

/// What a put found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Absent,
    /// Young enough that no sweep may look at it before its writer commits.
    Fresh,
    /// Old, or not of the right size: written again, so that its age starts anew.
    Stale,
}

/// What the store said to a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Written,
    /// Or that another put of it is under way, which may yet fail.
    Exists,
}

impl Inner {
    /// Publishes one spooled file: create-if-absent; what is there already and younger than half the
    /// grace is left, anything else is put again.
    ///
    /// Only the last case needs the gate: what is fresh is no sweep's business before its writer commits,
    /// and what is absent was deleted already. Every try looks first, so a put whose answer was lost is
    /// recognised, whoever's it was; and unless a put made a new object, it counts only once the object is
    /// seen, because a service may answer "exists" for another put that then failed, and a sweep in another
    /// process may just have looked at the old one.
    /// Once this returns, the object is durable and of the right size.
    pub(crate) async fn publish(&self, key: &Key, spooled: Spooled) -> Result<(), StoreError> {
        if let Some(root) = self.backend.root.clone() {
            return self.publish_here(key, spooled, &root).await;
        }
        let size = spooled.entry.size;
        let mut tried = 1;
        loop {
            let found = self.presence(key, size).await?;
            let done = match found {
                Presence::Fresh => return Ok(()),
                Presence::Absent if self.backend.conditional => self.upload(key, &spooled, PutMode::Create).await,
                // Somebody else may be faster here, with the same bytes.
                Presence::Absent => self.upload(key, &spooled, PutMode::Overwrite).await,
                Presence::Stale => {
                    let _held = self.gate.shared().await?;
                    self.upload(key, &spooled, PutMode::Overwrite).await
                }
            };
            match done {
                Ok(Answer::Written) if found == Presence::Absent => return Ok(()),
                Ok(_) if self.presence(key, size).await? == Presence::Fresh => return Ok(()),
                Ok(_) if tried >= self.backend.patience.tries() => {
                    return Err(StoreError::Backend { doing: PUBLISHING, source: vanished(key) });
                }
                // "Not found" is an upload that the service dropped under us.
                Err(StoreError::Backend { source, .. })
                    if (is_transient(&source) || matches!(source, object_store::Error::NotFound { .. }))
                        && tried < self.backend.patience.tries() =>
                {
                    tracing::warn!(digest = %key.digest, tried, error = %source, "a put failed, trying again");
                }
                Err(e) => return Err(e),
                Ok(_) => tracing::warn!(digest = %key.digest, tried, "what was put is not there, putting it again"),
            }
            self.backend.patience.wait(tried).await;
            tried += 1;
        }
    }

    /// The same in a folder: the file system answers truly and at once.
    async fn publish_here(&self, key: &Key, spooled: Spooled, root: &std::path::Path) -> Result<(), StoreError> {
        let from = relative(root, &spooled.temp).ok_or(StoreError::Thread(PUBLISHING))?;
        match self.presence(key, spooled.entry.size).await? {
            Presence::Fresh => Ok(()),
            Presence::Absent => self.link(key, &from, spooled, PutMode::Create).await,
            Presence::Stale => {
                let _held = self.gate.shared().await?;
                self.link(key, &from, spooled, PutMode::Overwrite).await
            }
        }
    }

    async fn presence(&self, key: &Key, size: u64) -> Result<Presence, StoreError> {
        let Some(meta) = self.backend.head(key).await? else { return Ok(Presence::Absent) };
        if meta.size != size {
            tracing::warn!(%key.digest, expected = size, found = meta.size, "stored object has the wrong size, writing it again");
            return Ok(Presence::Stale);
        }
        let now = self.time.for_put(&self.backend).await?;
        Ok(if age(now, &meta) >= self.bounds.grace / 2 { Presence::Stale } else { Presence::Fresh })
    }

    async fn upload(&self, key: &Key, spooled: &Spooled, mode: PutMode) -> Result<Answer, StoreError> {
        if spooled.entry.size <= PIECE as u64 {
            self.put_small(key, spooled, mode).await
        } else {
            self.put_large(key, spooled).await
        }
    }

    /// Puts a spooled file of the same file system under its key: its bytes are not copied.
    ///
    /// The file is synced here, its folder by the object store: without both, a power cut could leave a
    /// name that points to nothing.
    async fn link(&self, key: &Key, from: &Path, spooled: Spooled, mode: PutMode) -> Result<(), StoreError> {
        let now = UNIX_EPOCH + Duration::from_micros(u64::try_from(self.time.ours()).unwrap_or(0));
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
        accept_existing(done).map(|_| ())
    }

    /// One try; a longer row of them would not see that the first one landed.
    async fn put_small(&self, key: &Key, spooled: &Spooled, mode: PutMode) -> Result<Answer, StoreError> {
        let temp = spooled.temp.to_path_buf();
        let bytes =
            blocking(SPOOLED, move || std::fs::read(temp).map(Bytes::from).map_err(StoreError::io(SPOOLED))).await?;
        let path = key.path();
        let put = self.backend.objects.put_opts(&path, PutPayload::from_bytes(bytes), mode.into());
        accept_existing(self.backend.patience.limit(put).await.map(drop))
    }

    /// A multipart upload shows its object only when it is complete, and replaces one of the same bytes.
    async fn put_large(&self, key: &Key, spooled: &Spooled) -> Result<Answer, StoreError> {
        let failed = StoreError::backend;
        let patience = &self.backend.patience;
        // A piece is tried again by the client that made it; all else is begun anew.
        let options = PutMultipartOptions::default().with_retry_policy(Arc::new(patience.clone()));
        let (objects, path, limit) = (self.backend.objects.clone(), key.path(), patience.clone());
        // On its own: if nobody waits any more when its answer comes, it is known what to abort.
        let begin = async move {
            let begun = limit.limit(objects.put_multipart_opts(&path, options)).await;
            begun.map(|upload| Uploading { upload: Some(upload), patience: limit })
        };
        let begun = tokio::spawn(begin).await.map_err(|_| StoreError::Thread(PUBLISHING))?;
        let mut upload = begun.map_err(failed(PUBLISHING))?;
        let sent = self.send(&mut upload, spooled).await;
        let completed = match sent {
            Ok(()) => upload.complete().await.map_err(failed(PUBLISHING)),
            Err(e) => Err(e),
        };
        if completed.is_err() {
            upload.abort().await;
        }
        match completed {
            // As with a small put: whether it is there is seen by looking.
            Err(StoreError::Backend { source, .. }) => accept_existing(Err(source)),
            done => done.map(|()| Answer::Written),
        }
    }

    async fn send(&self, upload: &mut Uploading, spooled: &Spooled) -> Result<(), StoreError> {
        let temp = spooled.temp.to_path_buf();
        let mut file = blocking(SPOOLED, move || std::fs::File::open(temp).map_err(StoreError::io(SPOOLED))).await?;
        let mut pieces = FuturesUnordered::new();
        loop {
            let (piece, back) = blocking(SPOOLED, move || read_piece(file)).await?;
            file = back;
            let last = piece.is_empty();
            if !last {
                pieces.push(self.backend.patience.limit_tried(upload.piece(piece)?));
            }
            while !pieces.is_empty() && (last || pieces.len() >= PIECES_AHEAD) {
                pieces.try_next().await.map_err(StoreError::backend(PUBLISHING))?;
            }
            if last {
                return Ok(());
            }
        }
    }
}

/// A multipart upload that is aborted unless it is completed, also when whoever waits for it goes away. A
/// killed process leaves its pieces to the bucket's lifecycle rule.
struct Uploading {
    upload: Option<Box<dyn MultipartUpload>>,
    patience: Patience,
}

impl Uploading {
    fn piece(&mut self, bytes: Bytes) -> Result<UploadPart, StoreError> {
        let upload = self.upload.as_mut().ok_or(StoreError::Thread(PUBLISHING))?;
        Ok(upload.put_part(PutPayload::from_bytes(bytes)))
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        let Some(upload) = self.upload.as_mut() else { return Ok(()) };
        self.patience.limit(upload.complete()).await?;
        self.upload = None;
        Ok(())
    }

    async fn abort(&mut self) {
        if let Some(upload) = self.upload.take() {
            abort(upload, &self.patience).await;
        }
    }
}

/// Tried as often as anything else: pieces of an upload that stays open cost its owner money.
async fn abort(mut upload: Box<dyn MultipartUpload>, patience: &Patience) {
    let mut tried = 1;
    while let Err(error) = patience.limit(upload.abort()).await {
        if tried >= patience.tries() || !is_transient(&error) {
            // So it is, too, if the upload was completed and only the answer was lost.
            tracing::debug!(%error, "an upload that was given up could not be aborted");
            return;
        }
        patience.wait(tried).await;
        tried += 1;
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        let (Some(upload), Ok(runtime)) = (self.upload.take(), tokio::runtime::Handle::try_current()) else { return };
        // Whoever waited has gone, so nobody is there to be told how this ends.
        let patience = self.patience.clone();
        runtime.spawn(async move { abort(upload, &patience).await });
    }
}

fn read_piece(mut file: std::fs::File) -> Result<(Bytes, std::fs::File), StoreError> {
    let mut piece = Vec::with_capacity(PIECE);
    let read = file.by_ref().take(PIECE as u64).read_to_end(&mut piece);
    read.map_err(StoreError::io(SPOOLED))?;
    Ok((piece.into(), file))
}

/// Somebody else put the same bytes at the same moment, or our own reply was lost: either is success,
/// because the key is the digest.
fn accept_existing(done: object_store::Result<()>) -> Result<Answer, StoreError> {
    match done {
        Ok(()) => Ok(Answer::Written),
        Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(Answer::Exists),
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
