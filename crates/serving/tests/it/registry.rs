//! The two rpcs of the registry that serving lives on, over a table in memory. Stages do not depend on each
//! other, so serving's tests bring their own side of the contract.

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_proto::registry::get_model_version_request::Which;
use gristmill_proto::registry::registry_service_server::RegistryService;
use gristmill_proto::registry::*;
use gristmill_types::ArtifactRef;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

#[derive(Debug, Default)]
pub struct Registry {
    state: Mutex<State>,
    moves: watch::Sender<Vec<AliasMove>>,
}

#[derive(Debug, Default)]
struct State {
    versions: Vec<ModelVersion>,
    aliases: BTreeMap<(String, String), u32>,
}

impl Registry {
    /// Registers the next version of `name`.
    pub fn register(&self, name: &str, model: ArtifactRef) -> u32 {
        let mut state = self.state.lock().unwrap();
        let version = 1 + u32::try_from(state.versions.iter().filter(|v| v.name == name).count()).unwrap();
        let row = ModelVersion { name: name.into(), version, model: Some(model.into()), ..Default::default() };
        state.versions.push(row);
        version
    }

    /// Moves an alias; 0 removes it.
    pub fn set(&self, name: &str, alias: &str, version: u32) {
        let key = (name.to_owned(), alias.to_owned());
        self.state.lock().unwrap().aliases.insert(key, version);
        self.moves.send_modify(|moves| {
            let sequence = moves.len() as i64 + 1;
            let moved = AliasMove {
                sequence,
                name: name.into(),
                alias: alias.into(),
                to_version: version,
                ..Default::default()
            };
            moves.push(moved);
        });
    }

    fn find(&self, request: &GetModelVersionRequest) -> Option<ModelVersion> {
        let state = self.state.lock().unwrap();
        let version = match request.which.clone()? {
            Which::Version(version) => version,
            Which::Alias(alias) => *state.aliases.get(&(request.name.clone(), alias))?,
        };
        state.versions.iter().find(|v| v.name == request.name && v.version == version).cloned()
    }
}

fn elsewhere<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("serving does not call this"))
}

#[tonic::async_trait]
impl RegistryService for Registry {
    type WatchModelAliasesStream = BoxStream<'static, Result<WatchModelAliasesResponse, Status>>;

    async fn get_model_version(
        &self,
        request: Request<GetModelVersionRequest>,
    ) -> Result<Response<GetModelVersionResponse>, Status> {
        let version = self.find(request.get_ref()).ok_or_else(|| Status::not_found("there is no such version"))?;
        Ok(Response::new(GetModelVersionResponse { version: Some(version) }))
    }

    async fn watch_model_aliases(
        &self,
        _: Request<WatchModelAliasesRequest>,
    ) -> Result<Response<Self::WatchModelAliasesStream>, Status> {
        let moves = self.moves.subscribe();
        let stream = futures::stream::unfold((moves, 0), |(mut moves, sent)| async move {
            let moved = moves.wait_for(|moves| moves.len() > sent).await.ok()?.get(sent).cloned();
            Some((Ok(WatchModelAliasesResponse { r#move: moved }), (moves, sent + 1)))
        });
        Ok(Response::new(stream.boxed()))
    }

    async fn create_model_version(
        &self,
        _: Request<CreateModelVersionRequest>,
    ) -> Result<Response<CreateModelVersionResponse>, Status> {
        elsewhere()
    }

    async fn list_model_versions(
        &self,
        _: Request<ListModelVersionsRequest>,
    ) -> Result<Response<ListModelVersionsResponse>, Status> {
        elsewhere()
    }

    async fn list_models(&self, _: Request<ListModelsRequest>) -> Result<Response<ListModelsResponse>, Status> {
        elsewhere()
    }

    async fn update_model_version(
        &self,
        _: Request<UpdateModelVersionRequest>,
    ) -> Result<Response<UpdateModelVersionResponse>, Status> {
        elsewhere()
    }

    async fn set_model_alias(
        &self,
        _: Request<SetModelAliasRequest>,
    ) -> Result<Response<SetModelAliasResponse>, Status> {
        elsewhere()
    }

    async fn list_model_alias_moves(
        &self,
        _: Request<ListModelAliasMovesRequest>,
    ) -> Result<Response<ListModelAliasMovesResponse>, Status> {
        elsewhere()
    }

    async fn get_lineage(&self, _: Request<GetLineageRequest>) -> Result<Response<GetLineageResponse>, Status> {
        elsewhere()
    }
}
