//! Answers what the stages of this process hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_proto::artifact as message;
use gristmill_proto::artifact::list_roots_response::{Begin, End, Item, Page};
use gristmill_proto::artifact::root_service_server::{RootService, RootServiceServer};
use gristmill_rpc::{Caller, Problem, Services};
use gristmill_store::{RootProvider, Roots};
use gristmill_types::{Clock, Digest, ErrorCode};
use tonic::{Request, Response, Status};

use super::StageRoots;

/// Digests of one page, so that it stays well below the bound of a message.
const PAGE: usize = 10_000;

/// The root service over one stage, or over all of an all-in-one.
#[derive(Debug)]
pub struct RootServer {
    stages: BTreeMap<String, StageRoots>,
    clock: Arc<dyn Clock>,
}

impl RootServer {
    /// Answers for `stages`.
    pub fn new(stages: impl IntoIterator<Item = StageRoots>, clock: Arc<dyn Clock>) -> Self {
        let stages = stages.into_iter().map(|stage| (stage.name().to_owned(), stage)).collect();
        Self { stages, clock }
    }

    /// The service to mount.
    pub fn into_services(self) -> Services {
        Services::new().add(RootServiceServer::new(self))
    }
}

#[tonic::async_trait]
impl RootService for RootServer {
    type ListRootsStream = BoxStream<'static, Result<message::ListRootsResponse, Status>>;

    async fn list_roots(
        &self,
        request: Request<message::ListRootsRequest>,
    ) -> Result<Response<Self::ListRootsStream>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let stage = self.stages.get(&m.stage).ok_or_else(|| self.elsewhere(&m.stage))?;
        let as_of = self.clock.now();
        let roots = stage.roots(&project).await.map_err(|why| {
            Problem::new(ErrorCode::Unavailable, "ROOTS_UNAVAILABLE", format!("{}: {why}", stage.name()))
        })?;
        tracing::debug!(%project, stage = stage.name(), artifacts = roots.artifacts.len(), pins = roots.pins.len(), "roots listed");
        let begin = Begin { holder: stage.holder().to_string(), as_of };
        Ok(Response::new(futures::stream::iter(answer(begin, roots)).map(Ok).boxed()))
    }
}

impl RootServer {
    fn elsewhere(&self, asked: &str) -> Problem {
        let here: Vec<&str> = self.stages.keys().map(String::as_str).collect();
        let asked: String = asked.chars().take(64).collect();
        let message = format!("`{asked}` is not here, {} is: correct the endpoint", here.join(", "));
        Problem::invalid("NOT_THIS_STAGE", message.clone()).violation("stage", message)
    }
}

/// The messages of an answer, written page by page as they are wanted.
fn answer(begin: Begin, roots: Roots) -> impl Iterator<Item = message::ListRootsResponse> {
    let end = End { artifacts: roots.artifacts.len() as u64, pins: roots.pins.len() as u64 };
    let Roots { artifacts, pins, .. } = roots;
    let artifacts = pages(artifacts).map(|artifacts| Page { artifacts, pins: Vec::new() });
    let pins = pages(pins).map(|pins| Page { artifacts: Vec::new(), pins });
    let items = artifacts.chain(pins).map(Item::Page);
    let items = std::iter::once(Item::Begin(begin)).chain(items).chain(std::iter::once(Item::End(end)));
    items.map(|item| message::ListRootsResponse { item: Some(item) })
}

fn pages(digests: Vec<Digest>) -> impl Iterator<Item = Vec<String>> {
    let mut digests = digests.into_iter();
    std::iter::from_fn(move || {
        let page: Vec<String> = digests.by_ref().take(PAGE).map(|digest| digest.to_string()).collect();
        (!page.is_empty()).then_some(page)
    })
}
