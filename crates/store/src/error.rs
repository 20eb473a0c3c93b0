//! What can go wrong with artifacts, each variant an action for the caller.

use std::io;

use gristmill_types::{ArtifactRef, Digest, ErrorCode, Project};

use crate::Holder;

/// Errors of the artifact store.
///
/// Messages carry no path, no bucket and no host: what the machine said stands in
/// [`source`](std::error::Error::source), which is for the log and never for a remote caller.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The settings cannot work.
    #[error("the artifact store cannot be opened: {0}")]
    Settings(String),
    /// The object store cannot be used as it is configured. For the operator who starts the process, so
    /// it names the place; never the credentials.
    #[error("the artifact store {place} cannot be used: {problem}")]
    Unusable {
        /// Where.
        place: String,
        /// What is not so.
        problem: Problem,
        /// What the service said.
        source: Box<object_store::Error>,
    },
    /// No manifest has this digest in this project.
    #[error("project `{project}` has no artifact {artifact}: check the digest, or it was collected as garbage")]
    NotFound {
        /// Where it was looked for.
        project: Project,
        /// What was asked for.
        artifact: ArtifactRef,
    },
    /// The artifact is of another kind than the caller says.
    #[error("artifact {artifact} is a {found}, not a {}", artifact.kind)]
    WrongKind {
        /// What was asked for.
        artifact: ArtifactRef,
        /// What its manifest says.
        found: gristmill_types::ArtifactKind,
    },
    /// The artifact is whole, but has no part of this name.
    #[error("artifact {artifact} has no part `{part}`: it has {available}")]
    NoSuchPart {
        /// The artifact.
        artifact: ArtifactRef,
        /// The name asked for.
        part: String,
        /// The names there are.
        available: String,
    },
    /// Stored bytes are not what was written.
    #[error("artifact {artifact} is damaged: {part} {fault}; write it again from its producer or restore a backup")]
    DataLoss {
        /// The artifact.
        artifact: ArtifactRef,
        /// The part, or the manifest.
        part: DamagedPart,
        /// How it differs.
        fault: Fault,
    },
    /// A part's name could be mistaken for something else.
    #[error(
        "`{0}` cannot name a part: use 1 to 128 letters, digits, `.`, `-` or `_`, starting with a letter or a digit"
    )]
    PartName(String),
    /// Two parts of one artifact have one name.
    #[error("part `{0}` was written twice: every part of an artifact has its own name")]
    DuplicatePart(String),
    /// A manifest that is not one of ours.
    #[error("the manifest is refused: {0}")]
    Manifest(String),
    /// An upload does not hold what its manifest says.
    #[error("the upload is refused: part `{part}` {fault}")]
    Upload {
        /// The part.
        part: String,
        /// How it differs.
        fault: Fault,
    },
    /// An upload names an input that this project does not have.
    #[error("the upload is refused: its input {0} is not in this project; upload the input first")]
    UnknownInput(ArtifactRef),
    /// A part's source is not a plain file.
    #[error("part `{0}` is not read from a plain file: links, directories and devices are refused")]
    NotAFile(String),
    /// Something under the store's folder is a symbolic link.
    #[error("the artifact store refuses to follow a symbolic link below its folder: remove the link")]
    Symlink,
    /// No space is left for artifact bytes.
    #[error("no space is left while {doing}: nothing was published; free some space and retry")]
    DiskFull {
        /// What was being done.
        doing: &'static str,
        /// What the machine said.
        source: io::Error,
    },
    /// The lease refused to pin: the writer lost its job.
    #[error("the artifact is not published, because its digests could not be pinned: {message}")]
    Pin {
        /// The class of the refusal.
        code: ErrorCode,
        /// What the lease said.
        message: String,
    },
    /// Somebody who may hold roots did not answer, so nothing is deleted.
    #[error("nothing was deleted: `{provider}` did not say which artifacts it holds: {message}")]
    RootsUnavailable {
        /// Who.
        provider: String,
        /// Why not.
        message: String,
    },
    /// Somebody who is registered in the store was not among those who said what they hold, so nothing
    /// is deleted.
    #[error(
        "nothing was deleted: `{0}` shares this store and was not asked what it holds; sweep where it is asked, \
         or forget it if it is gone for good"
    )]
    HolderNotAsked(Holder),
    /// Somebody who is said to be gone has answered, so nothing is deleted.
    #[error("nothing was deleted: `{0}` is not gone, it said what it holds; do not forget it")]
    HolderNotGone(Holder),
    /// A registration that this version cannot read, so nothing is deleted.
    #[error("nothing was deleted: the store has a registration `{0}` that this version cannot read; upgrade")]
    HolderUnknown(String),
    /// A root cannot be followed, so nothing is deleted.
    #[error("nothing was deleted: {digest}, held by `{provider}`, cannot be read; restore it or drop what names it")]
    RootUnreadable {
        /// Who holds it.
        provider: String,
        /// The manifest.
        digest: Digest,
        /// Why it cannot be read.
        #[source]
        source: Box<StoreError>,
    },
    /// The object store failed.
    #[error("the object store failed while {doing}: retry, and see the server's log")]
    Backend {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        source: object_store::Error,
    },
    /// A local file could not be used.
    #[error("a local file failed while {doing}: see the server's log")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the machine said.
        source: io::Error,
    },
    /// A blocking thread ended without an answer.
    #[error("a worker thread ended while {0}: see the server's log")]
    Thread(&'static str),
}

/// Why an object store cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No connection, or no answer in time.
    #[error("nothing answers there; check the endpoint, the network and the certificates")]
    Unreachable,
    /// Something answers, but not as an object store does.
    #[error("what answers there is no object store, or cannot serve now; check the endpoint")]
    NotAStore,
    /// The bucket or container does not exist.
    #[error("there is no such bucket; check its name and the account, or make it")]
    NoBucket,
    /// The bucket is in another region.
    #[error("the bucket is in another region; set remote.region")]
    Region,
    /// The key is unknown, expired, or its secret is wrong.
    #[error("the credentials are refused; check the key and its secret")]
    Credentials,
    /// Requests are signed with their time.
    #[error("its clock and this machine's differ too much for signed requests; set the clock")]
    Clock,
    /// These credentials may not list.
    #[error("the credentials are good, but may not list the bucket; allow listing")]
    NotListable,
    /// These credentials may not read, or read something else than was written.
    #[error("the bucket is there, but cannot be read; allow reading objects")]
    NotReadable,
    /// These credentials may not write.
    #[error("the bucket is there, but it is read-only for these credentials; allow writing objects")]
    NotWritable,
}

/// Which bytes of an artifact are damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DamagedPart {
    /// The manifest itself.
    Manifest,
    /// The part of this name.
    Part(String),
}

impl std::fmt::Display for DamagedPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Manifest => f.write_str("the manifest"),
            Self::Part(name) => write!(f, "part `{name}`"),
        }
    }
}

/// How bytes differ from what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There are none.
    #[error("is missing")]
    Missing,
    /// Too many or too few.
    #[error("has {found} bytes instead of {expected}")]
    Size {
        /// What was written.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// As many, but others.
    #[error("holds other bytes than were written, from byte {offset}")]
    Content {
        /// Start of the first chunk that differs.
        offset: u64,
    },
    /// The manifest's bytes are not a manifest.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

impl StoreError {
    /// The class of the error.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound { .. } | Self::NoSuchPart { .. } => ErrorCode::NotFound,
            Self::WrongKind { .. }
            | Self::PartName(_)
            | Self::DuplicatePart(_)
            | Self::Manifest(_)
            | Self::Upload { .. }
            | Self::NotAFile(_) => ErrorCode::InvalidArgument,
            Self::DataLoss { .. } => ErrorCode::DataLoss,
            Self::Unusable { problem: Problem::Unreachable | Problem::NotAStore, .. } => ErrorCode::Unavailable,
            Self::Unusable { .. }
            | Self::Settings(_)
            | Self::UnknownInput(_)
            | Self::Symlink
            | Self::HolderNotAsked(_)
            | Self::HolderNotGone(_)
            | Self::HolderUnknown(_)
            | Self::RootUnreadable { .. } => ErrorCode::FailedPrecondition,
            Self::DiskFull { .. } => ErrorCode::ResourceExhausted,
            Self::Pin { code, .. } => *code,
            Self::RootsUnavailable { .. } | Self::Backend { .. } | Self::Io { .. } => ErrorCode::Unavailable,
            Self::Thread(_) => ErrorCode::Internal,
        }
    }

    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { doing, source },
            _ => Self::Io { doing, source },
        }
    }

    pub(crate) fn backend(doing: &'static str) -> impl FnOnce(object_store::Error) -> Self {
        move |source| match storage_full(&source) {
            Some(kind) => Self::DiskFull { doing, source: io::Error::new(kind, source) },
            None => Self::Backend { doing, source },
        }
    }
}

/// Finds "no space" in the causes of an object-store error: the local backend wraps it.
fn storage_full(error: &object_store::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(this) = cause {
        if let Some(io) = this.downcast_ref::<io::Error>()
            && matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        {
            return Some(io.kind());
        }
        cause = this.source();
    }
    None
}

/// Runs blocking work on a thread of its own kind.
pub(crate) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Thread(doing))?
}
