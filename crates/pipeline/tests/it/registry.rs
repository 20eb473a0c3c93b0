//! A small registry that keeps its versions in memory, by folder, so that a restarted house finds them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use futures::stream::BoxStream;
use gristmill_proto::registry::registry_service_server::{RegistryService, RegistryServiceServer};
use gristmill_proto::registry::{
    AliasMove, CreateModelVersionRequest, CreateModelVersionResponse, GetLineageRequest, GetLineageResponse,
    GetModelVersionRequest, GetModelVersionResponse, ListModelAliasMovesRequest, ListModelAliasMovesResponse,
    ListModelVersionsRequest, ListModelVersionsResponse, ListModelsRequest, ListModelsResponse, ModelVersion,
    SetModelAliasRequest, SetModelAliasResponse, UpdateModelVersionRequest, UpdateModelVersionResponse,
    WatchModelAliasesRequest, WatchModelAliasesResponse, get_model_version_request,
};
use gristmill_rpc::Caller;
use tonic::{Request, Response, Status};

type Books = Mutex<BTreeMap<PathBuf, Arc<Mutex<Book>>>>;
static BOOKS: LazyLock<Books> = LazyLock::new(Books::default);

#[derive(Debug, Default)]
pub struct Book {
    pub versions: Vec<ModelVersion>,
    pub aliases: BTreeMap<String, u32>,
    pub moves: u32,
    /// Somebody else moves the champion's alias just before it is moved.
    pub overtaken: bool,
    /// Who made the versions and moved the aliases, as an audit has it.
    pub callers: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Registry(pub Arc<Mutex<Book>>);

impl Registry {
    pub fn open(folder: &Path) -> Self {
        Self(BOOKS.lock().unwrap().entry(folder.to_owned()).or_default().clone())
    }

    pub fn into_service(self) -> RegistryServiceServer<Self> {
        RegistryServiceServer::new(self)
    }

    fn find(&self, number: u32) -> Result<ModelVersion, Status> {
        let book = self.0.lock().unwrap();
        let version = book.versions.iter().find(|version| version.version == number).cloned();
        let aliases = book.aliases.iter().filter(|(_, at)| **at == number).map(|(alias, _)| alias.clone());
        version.map(|v| ModelVersion { aliases: aliases.collect(), ..v }).ok_or_else(|| Status::not_found("none"))
    }
}

#[tonic::async_trait]
impl RegistryService for Registry {
    async fn create_model_version(
        &self,
        request: Request<CreateModelVersionRequest>,
    ) -> Result<Response<CreateModelVersionResponse>, Status> {
        let by = Caller::of(&request)?.principal().audit_name();
        let m = request.into_inner();
        let mut book = self.0.lock().unwrap();
        book.callers.push(by);
        let version = ModelVersion {
            name: m.name,
            version: u32::try_from(book.versions.len()).unwrap() + 1,
            model: m.model,
            evaluation: m.evaluation,
            verdict: m.verdict,
            tags: m.tags,
            seen: m.seen,
            run_id: m.run_id,
            ..ModelVersion::default()
        };
        book.versions.push(version.clone());
        Ok(Response::new(CreateModelVersionResponse { version: Some(version) }))
    }

    async fn get_model_version(
        &self,
        request: Request<GetModelVersionRequest>,
    ) -> Result<Response<GetModelVersionResponse>, Status> {
        let number = match request.into_inner().which {
            Some(get_model_version_request::Which::Version(number)) => number,
            Some(get_model_version_request::Which::Alias(alias)) => {
                self.0.lock().unwrap().aliases.get(&alias).copied().unwrap_or(0)
            }
            None => 0,
        };
        Ok(Response::new(GetModelVersionResponse { version: Some(self.find(number)?) }))
    }

    async fn list_model_versions(
        &self,
        _: Request<ListModelVersionsRequest>,
    ) -> Result<Response<ListModelVersionsResponse>, Status> {
        let count = u32::try_from(self.0.lock().unwrap().versions.len()).unwrap();
        if count == 0 {
            return Err(Status::not_found("no such model"));
        }
        let versions = (1..=count).rev().map(|number| self.find(number)).collect::<Result<_, _>>()?;
        Ok(Response::new(ListModelVersionsResponse { versions, next_page_token: String::new() }))
    }

    async fn set_model_alias(
        &self,
        request: Request<SetModelAliasRequest>,
    ) -> Result<Response<SetModelAliasResponse>, Status> {
        let by = Caller::of(&request)?.principal().audit_name();
        let m = request.into_inner();
        let mut book = self.0.lock().unwrap();
        book.callers.push(by);
        if std::mem::take(&mut book.overtaken) {
            book.aliases.insert(m.alias.clone(), 77);
        }
        let now = book.aliases.get(&m.alias).copied().unwrap_or(0);
        if m.expected_version.is_some_and(|expected| expected != now) {
            return Err(Status::aborted("the alias has moved"));
        }
        book.aliases.insert(m.alias, m.version);
        book.moves += 1;
        Ok(Response::new(SetModelAliasResponse { r#move: Some(AliasMove::default()) }))
    }

    async fn list_models(&self, _: Request<ListModelsRequest>) -> Result<Response<ListModelsResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn update_model_version(
        &self,
        _: Request<UpdateModelVersionRequest>,
    ) -> Result<Response<UpdateModelVersionResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn list_model_alias_moves(
        &self,
        _: Request<ListModelAliasMovesRequest>,
    ) -> Result<Response<ListModelAliasMovesResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    type WatchModelAliasesStream = BoxStream<'static, Result<WatchModelAliasesResponse, Status>>;

    async fn watch_model_aliases(
        &self,
        _: Request<WatchModelAliasesRequest>,
    ) -> Result<Response<Self::WatchModelAliasesStream>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn get_lineage(&self, _: Request<GetLineageRequest>) -> Result<Response<GetLineageResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
}
