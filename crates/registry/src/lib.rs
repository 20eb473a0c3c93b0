#![doc = include_str!("../README.md")]

mod alias;
mod artifact_service;
mod config;
mod convert;
mod error;
mod holders;
mod lineage;
mod read;
mod register;
mod registry;
mod roots;
mod rows;
mod service;
mod stage;
mod tables;
mod version;
mod watch;

pub use alias::{AliasChange, AliasMove, Expected};
pub use config::RegistryConfig;
pub use error::RegistryError;
pub use holders::Holders;
pub use lineage::{Lineage, LineageNode};
pub use read::{ModelEntry, Page};
pub use registry::Registry;
pub use stage::{Opened, open};
pub use version::{NewVersion, Status, Verdict, Version, VersionChange};
pub use watch::MoveStream;
