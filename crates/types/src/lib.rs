#![doc = include_str!("../README.md")]

mod artifact;
mod clock;
mod columns;
mod digest;
mod error;
mod job;
mod limits;
mod name;
mod role;
mod secret;

pub use artifact::{ArtifactKind, ArtifactRef};
pub use clock::{Clock, ManualClock, Micros, SystemClock};
pub use columns::{Cell, Column, ColumnType, Columns, ColumnsError, Field, Text, Values};
pub use digest::{Digest, DigestError, Hasher};
pub use error::{ErrorCode, FieldViolation};
pub use job::{Fence, JobId, JobState, RequestId};
pub use limits::Limits;
pub use name::{Name, NameError, Project};
pub use role::{Permission, Role};
pub use secret::{Secret, SecretRef};
