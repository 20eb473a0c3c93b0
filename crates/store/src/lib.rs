//! Content-addressed artifacts on an object store.
#![doc = include_str!("../README.md")]

mod backend;
mod cache;
mod error;
mod gate;
mod holder;
mod key;
mod manifest;
mod map;
mod mapped;
mod patience;
mod pin;
mod project;
mod publish;
mod read;
mod settings;
mod spool;
mod store;
mod sweep;
mod time;
mod write;

pub use error::{DamagedPart, Fault, Problem, StoreError};
pub use holder::{Holder, HolderError};
pub use manifest::{CHUNK_BYTES, Manifest, PartEntry, Producer};
pub use object_store;
pub use pin::{Pin, PinRefused, Unpinned};
pub use project::ProjectStore;
pub use read::{Artifact, LocalFile, Part};
pub use settings::{Bucket, Location, RemoteConfig, Service, StoreConfig};
pub use store::{Store, Usage};
pub use sweep::{RootProvider, Roots, SweepReport};
pub use write::{ArtifactUpload, ArtifactWriter, PartSink};
