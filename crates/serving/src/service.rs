//! Deployments and the log over gRPC.

use std::sync::Arc;

use gristmill_proto::serving::create_deployment_request::Which;
use gristmill_proto::serving::serving_service_server::ServingService;
use gristmill_proto::serving::{
    CreateDeploymentRequest, CreateDeploymentResponse, DeleteDeploymentRequest, DeleteDeploymentResponse, Deployment,
    FlushInferenceLogRequest, FlushInferenceLogResponse, ListDeploymentsRequest, ListDeploymentsResponse,
};
use gristmill_rpc::Caller;
use gristmill_rpc::error::Problem;
use gristmill_types::{Name, Project};
use tonic::{Request, Response, Status};

use crate::ServingError;
use crate::models::{Entry, Models};
use crate::tables::{Follows, Wanted};

/// The service over the loaded models.
#[derive(Debug)]
pub(crate) struct Service(pub Arc<Models>);

fn deployment(project: &Project, name: &str, entry: &Entry) -> Deployment {
    let deployed = entry.deployed.as_deref();
    let version = match (&entry.follows, deployed) {
        (_, Some(deployed)) => deployed.version,
        (Follows::Version(version), None) => *version,
        (Follows::Alias(_), None) => 0,
    };
    Deployment {
        project: project.as_str().into(),
        name: name.into(),
        version,
        alias: if let Follows::Alias(alias) = &entry.follows { alias.clone() } else { String::new() },
        model: deployed.map(|deployed| deployed.artifact.into()),
        ready: deployed.is_some(),
        error: entry.error.clone().unwrap_or_default(),
        loaded_at: deployed.map_or(0, |deployed| deployed.loaded_at),
    }
}

fn named(field: &'static str, text: &str) -> Result<String, Problem> {
    match Name::new(text) {
        Ok(name) => Ok(name.as_str().to_owned()),
        Err(error) => {
            Err(Problem::invalid("INVALID_FIELD", format!("{field}: {error}")).violation(field, error.to_string()))
        }
    }
}

#[tonic::async_trait]
impl ServingService for Service {
    async fn list_deployments(
        &self,
        request: Request<ListDeploymentsRequest>,
    ) -> Result<Response<ListDeploymentsResponse>, Status> {
        let project = Caller::of(&request)?.project(&request.get_ref().project)?;
        let deployments = self.0.list(&project).iter().map(|(name, entry)| deployment(&project, name, entry)).collect();
        Ok(Response::new(ListDeploymentsResponse { deployments }))
    }

    async fn create_deployment(
        &self,
        request: Request<CreateDeploymentRequest>,
    ) -> Result<Response<CreateDeploymentResponse>, Status> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let project = caller.project(&message.project)?;
        let follows = match message.which {
            Some(Which::Version(version)) if version > 0 => Follows::Version(version),
            Some(Which::Alias(alias)) => Follows::Alias(named("alias", &alias)?),
            _ => {
                let problem = Problem::invalid("MISSING_FIELD", "name a version from 1, or an alias to follow");
                return Err(problem.violation("which", "required").into());
            }
        };
        let wanted = Wanted { project, name: named("name", &message.name)?, follows };
        let entry = self.0.deploy(&wanted, Some(&caller)).await?;
        // What cannot be loaded is not wanted either; what is, is served again after a restart.
        self.0.tables().want(&wanted).await.map_err(ServingError::from)?;
        let deployment = deployment(&wanted.project, &wanted.name, &entry);
        Ok(Response::new(CreateDeploymentResponse { deployment: Some(deployment) }))
    }

    async fn delete_deployment(
        &self,
        request: Request<DeleteDeploymentRequest>,
    ) -> Result<Response<DeleteDeploymentResponse>, Status> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let project = caller.project(&message.project)?;
        let wanted = self.0.tables().unwant(&project, &message.name).await.map_err(ServingError::from)?;
        let served = self.0.undeploy(&project, &message.name).await;
        if wanted || served {
            Ok(Response::new(DeleteDeploymentResponse {}))
        } else {
            Err(ServingError::NotLoaded { name: crate::rows::short(&message.name) }.into())
        }
    }

    async fn flush_inference_log(
        &self,
        request: Request<FlushInferenceLogRequest>,
    ) -> Result<Response<FlushInferenceLogResponse>, Status> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let project = caller.project(&message.project)?;
        self.0.flusher().flush().await;
        let logs = self.0.tables().logs(&project, &message.name).await.map_err(ServingError::from)?;
        Ok(Response::new(FlushInferenceLogResponse { logs: logs.into_iter().map(Into::into).collect() }))
    }
}
