//! Stages that answer badly: nothing is deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_proto::artifact::list_roots_response::{Begin, End, Item, Page};
use gristmill_proto::artifact::root_service_server::{RootService, RootServiceServer};
use gristmill_proto::artifact::{ListRootsRequest, ListRootsResponse};
use gristmill_rpc::{Auth, Channel, Server, ServerConfig, Services, Surface};
use gristmill_runtime::Process;
use gristmill_stage::{Limits, RemoteRoots, Unreached};
use gristmill_store::StoreError;
use gristmill_types::{Clock, Digest};
use tonic::{Request, Response, Status};

use super::bench::{Ground, HOUR, LIMITS};

/// What a stage sends: its items, then an error, silence, or the end of the stream.
struct Script {
    items: Vec<Item>,
    then: Then,
    asked: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Then {
    Ends,
    Breaks,
    Hangs,
}

#[tonic::async_trait]
impl RootService for Script {
    type ListRootsStream = BoxStream<'static, Result<ListRootsResponse, Status>>;

    async fn list_roots(&self, _: Request<ListRootsRequest>) -> Result<Response<Self::ListRootsStream>, Status> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let items = self.items.clone().into_iter().map(|item| Ok(ListRootsResponse { item: Some(item) }));
        let items = futures::stream::iter(items);
        Ok(Response::new(match self.then {
            Then::Ends => items.boxed(),
            Then::Breaks => items.chain(futures::stream::iter([Err(Status::unavailable("it was killed"))])).boxed(),
            Then::Hangs => items.chain(futures::stream::pending()).boxed(),
        }))
    }
}

fn begin(ground: &Ground, holder: &str) -> Item {
    Item::Begin(Begin { holder: holder.into(), as_of: ground.clock.now() })
}

fn page() -> Item {
    Item::Page(Page { artifacts: Vec::new(), pins: vec![Digest::of(b"held").to_string()] })
}

fn end(pins: u64) -> Item {
    Item::End(End { artifacts: 0, pins })
}

/// Sweeps with a stage that answers so; gives back why nothing was deleted, and how often it was asked.
async fn refused(ground: &Ground, items: Vec<Item>, then: Then, limits: Limits) -> (String, usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    let script = Script { items, then, asked: asked.clone() };
    let services = Services::new().add(RootServiceServer::new(script));
    let process = Process::with_clock(ground.clock.clone());
    let server = Server::build(services, Auth::LoopbackOnly, &ServerConfig::default(), &process).await.unwrap();
    let listener = server.listen("127.0.0.1:0").await.unwrap();
    let channel = Channel::remote(&format!("http://{}", listener.local_addr().unwrap()), None).unwrap();
    tokio::spawn(async move { server.serve(listener, Surface::Grpc).await });
    let remote = RemoteRoots::new("training", channel, ground.clock.clone(), limits);
    let error = ground.sweep(&[&remote]).await.unwrap_err();
    process.shutdown.request();
    assert!(matches!(&error, StoreError::RootsUnavailable { provider, .. } if provider == "training"), "{error:?}");
    assert_eq!(ground.objects().await, 2);
    (error.to_string(), asked.load(Ordering::SeqCst))
}

async fn with_garbage() -> Ground {
    let ground = Ground::new().await;
    ground.write(b"garbage").await;
    ground.clock.advance(25 * HOUR);
    ground
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_answer_is_none_and_is_asked_for_again_within_bounds() {
    let ground = with_garbage().await;
    let begins = || begin(&ground, "training/a1");
    for (items, then, said) in [
        (vec![begins(), page()], Then::Breaks, "it was killed"),
        (vec![begins(), page()], Then::Ends, "before it was whole"),
        (vec![], Then::Ends, "before it was whole"),
        (vec![begins(), page(), end(2)], Then::Ends, "not as many digests"),
    ] {
        let (why, asked) = refused(&ground, items, then, LIMITS).await;
        assert!(why.contains(said) && asked == 2, "{why}: {asked}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_answer_is_not_asked_for_again() {
    let ground = with_garbage().await;
    let begins = || begin(&ground, "training/a1");
    let late = Item::Begin(Begin { holder: "training/a1".into(), as_of: ground.clock.now() - HOUR });
    let text = Item::Page(Page { artifacts: vec!["../x".into()], pins: Vec::new() });
    for (items, said) in [
        (vec![begin(&ground, "ingestion/a1"), end(0)], "correct the endpoint"),
        (vec![begin(&ground, "somebody"), end(0)], "who it is"),
        (vec![late, end(0)], "set the clocks"),
        (vec![begins(), text, end(0)], "no digest"),
        (vec![page(), begins(), end(1)], "order"),
        (vec![begins(), end(0), page()], "order"),
    ] {
        let (why, asked) = refused(&ground, items, Then::Ends, LIMITS).await;
        assert!(why.contains(said) && asked == 1, "{why}: {asked}");
    }
    let few = Limits { digests: 1, ..LIMITS };
    let (why, _) = refused(&ground, vec![begins(), page(), page(), end(2)], Then::Ends, few).await;
    assert!(why.contains("more than 1 digests"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_answer_ends_at_the_deadline() {
    let ground = with_garbage().await;
    let soon = Limits { deadline: Duration::from_millis(300), ..LIMITS };
    let items = vec![begin(&ground, "training/a1"), page()];
    let (why, asked) = refused(&ground, items, Then::Hangs, soon).await;
    assert!(asked <= 2, "{asked}: {why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_nobody_configured_is_a_refusal() {
    let ground = with_garbage().await;
    let error = ground.sweep(&[&Unreached("monitoring")]).await.unwrap_err();
    assert!(error.to_string().contains("peers.monitoring"), "{error}");
    assert_eq!(ground.objects().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_another_stage_says_so() {
    let ground = with_garbage().await;
    let stage = ground.stage("ingestion", "a").await;
    let remote = RemoteRoots::new("training", stage.channel.clone(), ground.clock.clone(), LIMITS);
    let error = ground.sweep(&[&remote]).await.unwrap_err().to_string();
    assert!(error.contains("`training` is not here, ingestion is"), "{error}");
}
