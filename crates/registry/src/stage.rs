//! The only wiring of the stage.

use gristmill_proto::artifact::artifact_service_server::ArtifactServiceServer;
use gristmill_proto::registry::registry_service_server::RegistryServiceServer;
use gristmill_rpc::Services;
use gristmill_stage::StageDeps;

use crate::artifact_service::Artifacts;
use crate::service::Service;
use crate::{Holders, Registry, RegistryConfig, RegistryError};

/// The wired stage. It has no jobs: everything it does is short.
#[derive(Debug)]
pub struct Opened {
    /// The registry's service and the artifact service.
    pub services: Services,
    /// For callers in the process, and a root provider for garbage collection.
    pub registry: Registry,
    /// To be completed with every stage that names artifacts, this registry among them.
    pub holders: Holders,
}

/// Wires the stage: its tables and its services.
///
/// # Errors
/// [`RegistryError::Config`], [`RegistryError::Database`] if the tables can't be opened.
pub async fn open(deps: &StageDeps, config: &RegistryConfig) -> Result<Opened, RegistryError> {
    let registry = Registry::open(deps, config).await?;
    let holders = Holders::default();
    let max_upload_bytes = registry.inner.settings.max_upload_bytes;
    let artifacts = Artifacts::new(deps.store.clone(), max_upload_bytes, holders.clone())?;
    let services = Services::new()
        .add(RegistryServiceServer::new(Service(registry.clone())))
        .add(ArtifactServiceServer::new(artifacts));
    Ok(Opened { services, registry, holders })
}
