//! The gRPC face of the registry: checks, does, answers.

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_proto::registry as message;
use gristmill_proto::registry::registry_service_server::RegistryService;
use gristmill_rpc::Caller;
use tonic::{Request, Response, Status};

use crate::{Registry, RegistryError, convert};

/// The service over the registry.
#[derive(Debug)]
pub(crate) struct Service(pub(crate) Registry);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RegistryService for Service {
    async fn create_model_version(
        &self,
        request: Request<message::CreateModelVersionRequest>,
    ) -> Answer<message::CreateModelVersionResponse> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let request_id = gristmill_proto::request_id(&m.request_id).map_err(RegistryError::from)?;
        let new = convert::new_version(&m)?;
        let by = caller.principal().audit_name();
        let version = self.0.register(&project, &new, request_id.as_ref(), &by).await?;
        Ok(Response::new(message::CreateModelVersionResponse { version: Some(convert::version(version)) }))
    }

    async fn get_model_version(
        &self,
        request: Request<message::GetModelVersionRequest>,
    ) -> Answer<message::GetModelVersionResponse> {
        use message::get_model_version_request::Which;
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let name = convert::name("name", &m.name)?;
        let version = match m.which {
            Some(Which::Version(version)) => self.0.version(&project, &name, version).await?,
            Some(Which::Alias(alias)) => self.0.version_at(&project, &name, &convert::name("alias", &alias)?).await?,
            None => return Err(RegistryError::invalid("which", "name a version or an alias").into()),
        };
        Ok(Response::new(message::GetModelVersionResponse { version: Some(convert::version(version)) }))
    }

    async fn list_model_versions(
        &self,
        request: Request<message::ListModelVersionsRequest>,
    ) -> Answer<message::ListModelVersionsResponse> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let name = convert::name("name", &m.name)?;
        let page = self.0.versions(&project, &name, m.page_size, &m.page_token).await?;
        let versions = page.entries.into_iter().map(convert::version).collect();
        Ok(Response::new(message::ListModelVersionsResponse { versions, next_page_token: page.next }))
    }

    async fn list_models(&self, request: Request<message::ListModelsRequest>) -> Answer<message::ListModelsResponse> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let page = self.0.models(&project, m.page_size, &m.page_token).await?;
        let models = page.entries.into_iter().map(convert::model).collect();
        Ok(Response::new(message::ListModelsResponse { models, next_page_token: page.next }))
    }

    async fn update_model_version(
        &self,
        request: Request<message::UpdateModelVersionRequest>,
    ) -> Answer<message::UpdateModelVersionResponse> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let name = convert::name("name", &m.name)?;
        let change = convert::version_change(&m);
        let by = caller.principal().audit_name();
        let version = self.0.update(&project, (&name, m.version), &change, &by).await?;
        Ok(Response::new(message::UpdateModelVersionResponse { version: Some(convert::version(version)) }))
    }

    async fn set_model_alias(
        &self,
        request: Request<message::SetModelAliasRequest>,
    ) -> Answer<message::SetModelAliasResponse> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let change = convert::alias_change(&m)?;
        let moved = self.0.move_alias(&project, &change, &caller.principal().audit_name()).await?;
        Ok(Response::new(message::SetModelAliasResponse { r#move: Some(convert::alias_move(moved)) }))
    }

    async fn list_model_alias_moves(
        &self,
        request: Request<message::ListModelAliasMovesRequest>,
    ) -> Answer<message::ListModelAliasMovesResponse> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let name = convert::name("name", &m.name)?;
        let alias = if m.alias.is_empty() { None } else { Some(convert::name("alias", &m.alias)?) };
        let page = self.0.moves(&project, (&name, alias.as_ref()), m.page_size, &m.page_token).await?;
        let moves = page.entries.into_iter().map(convert::alias_move).collect();
        Ok(Response::new(message::ListModelAliasMovesResponse { moves, next_page_token: page.next }))
    }

    type WatchModelAliasesStream = BoxStream<'static, Result<message::WatchModelAliasesResponse, Status>>;

    async fn watch_model_aliases(
        &self,
        request: Request<message::WatchModelAliasesRequest>,
    ) -> Answer<Self::WatchModelAliasesStream> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let moves = self.0.watch(&project, m.after_sequence).await?;
        let moves = moves.map(|moved| {
            let moved = moved?;
            Ok(message::WatchModelAliasesResponse { r#move: Some(convert::alias_move(moved)) })
        });
        Ok(Response::new(moves.boxed()))
    }

    async fn get_lineage(&self, request: Request<message::GetLineageRequest>) -> Answer<message::GetLineageResponse> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let artifact = gristmill_proto::artifact_ref("artifact", m.artifact.as_ref()).map_err(RegistryError::from)?;
        Ok(Response::new(convert::lineage(self.0.lineage(&project, artifact).await?)))
    }
}
