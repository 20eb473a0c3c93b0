//! Several replicas behind one name: calls go round, servers come and go, and calls are repeated where that
//! is safe.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use gristmill_rpc::channel::Resolve;
use gristmill_rpc::{
    Auth, Channel, Problem, RemoteConfig, Request, Response, Server, ServerConfig, Services, Status, Surface,
};
use gristmill_runtime::Process;
use gristmill_types::{ErrorCode, Permission};
use tonic::Code;
use tonic::body::Body;
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::probe::path;

/// A read, which may be repeated, and a change, which may not: services of the real contracts' names, so
/// that the channel's own list decides.
const READ: &str = "/gristmill.training.v1alpha1.TrainingService/ListStudyJobs";
const CHANGE: &str = "/gristmill.training.v1alpha1.TrainingService/CancelStudyJob";

/// What a replica answers.
#[derive(Debug, Clone)]
struct Replica {
    name: &'static str,
    calls: Arc<AtomicUsize>,
    /// So many calls are answered UNAVAILABLE first, with a wish to wait.
    away: Arc<AtomicUsize>,
    wish: Option<Duration>,
    held: Arc<tokio::sync::Semaphore>,
}

impl tonic::server::NamedService for Replica {
    const NAME: &'static str = "gristmill.training.v1alpha1.TrainingService";
}

async fn answer(replica: Replica, request: Request<String>) -> Result<Response<String>, Status> {
    replica.calls.fetch_add(1, Ordering::SeqCst);
    let left = replica.away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if left.is_ok() {
        let problem = Problem::new(ErrorCode::Unavailable, "MILL_STOPPED", "the mill stands still");
        return Err(match replica.wish {
            Some(wish) => problem.retry_after(wish),
            None => problem,
        }
        .into());
    }
    if request.get_ref() == "hold" {
        let _held = replica.held.acquire().await.unwrap();
    }
    Ok(Response::new(replica.name.to_owned()))
}

impl tower::Service<::http::Request<Body>> for Replica {
    type Response = ::http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = tonic::codegen::BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ::http::Request<Body>) -> Self::Future {
        let replica = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, String>::default());
            Ok(grpc.unary(service_fn(move |request| answer(replica.clone(), request)), request).await)
        })
    }
}

/// A replica on a port of its own.
struct Running {
    replica: Replica,
    address: SocketAddr,
    process: Process,
    serving: tokio::task::JoinHandle<()>,
}

async fn start_on(name: &'static str, away: usize, wish: Option<Duration>, address: &str) -> Running {
    let replica = Replica {
        name,
        calls: Arc::default(),
        away: Arc::new(AtomicUsize::new(away)),
        wish,
        held: Arc::new(tokio::sync::Semaphore::new(0)),
    };
    let process = Process::new();
    let services = Services::new().add(replica.clone()).permit(&[(READ, Permission::Read)]);
    let config = ServerConfig { drain_seconds: 0, allowed_hosts: vec!["mill.test".into()], ..ServerConfig::default() };
    let server = Server::build(services, Auth::LoopbackOnly, &config, &process).await.unwrap();
    let listener = server.listen(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { server.serve(listener, Surface::Grpc).await });
    Running { replica, address, process, serving }
}

async fn start(name: &'static str) -> Running {
    start_on(name, 0, None, "127.0.0.1:0").await
}

impl Running {
    fn calls(&self) -> usize {
        self.replica.calls.load(Ordering::SeqCst)
    }

    async fn stop(self) {
        self.process.shutdown.request();
        self.serving.await.unwrap();
    }
}

/// A name whose addresses the test changes.
#[derive(Debug, Clone, Default)]
struct Names(Arc<Mutex<Vec<SocketAddr>>>);

impl Names {
    fn set(&self, running: &[&Running]) {
        *self.0.lock().unwrap() = running.iter().map(|running| running.address).collect();
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let found = self.0.lock().unwrap().clone();
        Box::pin(async move { if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) } })
    }
}

fn channel(names: &Names) -> Channel {
    let config = RemoteConfig { resolve_seconds: 1, ..RemoteConfig::new("http://mill.test:7700") };
    Channel::with_resolver(&config, Arc::new(names.clone())).unwrap()
}

async fn ask(channel: &Channel, rpc: &str, text: &str) -> Result<String, Status> {
    path(channel, rpc, Request::new(text.to_owned())).await
}

#[tokio::test]
async fn calls_go_round_and_away_from_who_is_busy() {
    let all = [start("a").await, start("b").await, start("c").await];
    let names = Names::default();
    names.set(&[&all[0], &all[1], &all[2]]);
    let channel = channel(&names);
    let mut seen = BTreeMap::new();
    for _ in 0..30 {
        *seen.entry(ask(&channel, READ, "").await.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(seen, BTreeMap::from([("a".into(), 10), ("b".into(), 10), ("c".into(), 10)]), "equals take turns");
    // Two calls that do not end; the third replica is the least busy for everything after.
    let held: Vec<_> = (0..2)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move { ask(&channel, READ, "hold").await })
        })
        .collect();
    while all.iter().map(Running::calls).sum::<usize>() < 32 {
        tokio::task::yield_now().await;
    }
    let free = all.iter().find(|running| running.calls() == 10).unwrap();
    for _ in 0..10 {
        assert_eq!(ask(&channel, READ, "").await.unwrap(), free.replica.name);
    }
    for running in &all {
        running.replica.held.add_permits(2);
    }
    for call in held {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn servers_come_and_go_and_no_read_fails() {
    let (a, b) = (start("a").await, start("b").await);
    let names = Names::default();
    names.set(&[&a, &b]);
    let channel = channel(&names);
    for _ in 0..4 {
        ask(&channel, READ, "").await.unwrap();
    }
    a.stop().await;
    for _ in 0..10 {
        assert_eq!(ask(&channel, READ, "").await.unwrap(), "b", "the name still has both");
        assert_eq!(ask(&channel, CHANGE, "").await.unwrap(), "b", "what never left may go elsewhere too");
    }
    let c = start("c").await;
    names.set(&[&b, &c]);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while ask(&channel, READ, "").await.unwrap() != "c" {
        assert!(tokio::time::Instant::now() < deadline, "a new address is found");
    }
    b.stop().await;
    for _ in 0..10 {
        assert_eq!(ask(&channel, READ, "").await.unwrap(), "c");
    }
    // The last one goes; the same address comes back.
    let address = c.address.to_string();
    c.stop().await;
    let status = ask(&channel, CHANGE, "").await.unwrap_err();
    assert_eq!((status.code(), Problem::from(&status).reason.as_ref()), (Code::Unavailable, "UNREACHABLE"));
    let _again = start_on("again", 0, None, &address).await;
    assert_eq!(ask(&channel, READ, "").await.unwrap(), "again");
}

#[tokio::test]
async fn only_what_may_be_repeated_is_and_only_on_unavailable() {
    let names = Names::default();
    let broken = start_on("a", 2, None, "127.0.0.1:0").await;
    names.set(&[&broken]);
    let one = channel(&names);
    assert_eq!(ask(&one, READ, "").await.unwrap(), "a");
    assert_eq!(broken.calls(), 3, "twice in vain");
    broken.replica.away.store(1, Ordering::SeqCst);
    let status = ask(&one, CHANGE, "").await.unwrap_err();
    assert_eq!(Problem::from(&status).reason, "MILL_STOPPED", "the server's own words");
    assert_eq!(broken.calls(), 4, "a change is sent once");
    broken.replica.away.store(100, Ordering::SeqCst);
    assert_eq!(ask(&one, READ, "").await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(broken.calls(), 8, "four attempts and no more");
    let unknown = ask(&one, "/gristmill.training.v1alpha1.TrainingService/GetNothing", "").await.unwrap_err();
    assert_eq!((unknown.code(), broken.calls()), (Code::Unimplemented, 8), "other codes are answers");
}

#[tokio::test]
async fn a_creation_is_repeated_when_it_names_itself() {
    use gristmill_proto::training::CreateStudyJobRequest;
    use gristmill_proto::training::training_service_client::TrainingServiceClient;
    let names = Names::default();
    let broken = start_on("a", 2, None, "127.0.0.1:0").await;
    names.set(&[&broken]);
    let mut client = TrainingServiceClient::new(channel(&names));
    let request = CreateStudyJobRequest { request_id: "one".into(), ..CreateStudyJobRequest::default() };
    // The replica answers a text; that it is no job does not matter here.
    let _ = client.create_study_job(request).await;
    assert_eq!(broken.calls(), 3);
    broken.replica.away.store(2, Ordering::SeqCst);
    let status = client.create_study_job(CreateStudyJobRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), broken.calls()), (Code::Unavailable, 4), "without a name it is sent once");
}

#[tokio::test]
async fn a_servers_wish_to_wait_is_obeyed_within_the_deadline() {
    let names = Names::default();
    let wish = Duration::from_millis(900);
    let busy = start_on("a", 1, Some(wish), "127.0.0.1:0").await;
    names.set(&[&busy]);
    let one = channel(&names);
    let began = std::time::Instant::now();
    assert_eq!(ask(&one, READ, "").await.unwrap(), "a");
    assert!(began.elapsed() >= wish);
    busy.replica.away.store(1, Ordering::SeqCst);
    let mut request = Request::new(String::new());
    request.set_timeout(Duration::from_millis(800));
    let began = std::time::Instant::now();
    let status = path(&one, READ, request).await.unwrap_err();
    assert_eq!(Problem::from(&status).reason, "MILL_STOPPED", "what is known beats a deadline's silence");
    assert!(began.elapsed() < Duration::from_millis(800), "nobody waits for what cannot come");
    let mut request = Request::new("hold".to_owned());
    request.set_timeout(Duration::from_millis(100));
    let status = path(&one, READ, request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_broken_server_is_soon_called_no_more_than_a_sound_one() {
    let names = Names::default();
    let broken = start_on("a", usize::MAX, None, "127.0.0.1:0").await;
    names.set(&[&broken]);
    let one = channel(&names);
    let calls: Vec<_> = (0..40)
        .map(|_| {
            let one = one.clone();
            tokio::spawn(async move { ask(&one, READ, "").await.unwrap_err().code() })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), Code::Unavailable);
    }
    assert!(broken.calls() < 40 + 15, "40 calls and the budget's retries: {}", broken.calls());
}

#[tokio::test]
async fn a_name_that_is_not_known_is_said() {
    let status = ask(&channel(&Names::default()), CHANGE, "").await.unwrap_err();
    assert_eq!(Problem::from(&status).reason, "UNKNOWN_HOST");
    assert!(status.message().contains("mill.test"), "{status}");
    let real = Channel::open(&RemoteConfig { attempts: 1, ..RemoteConfig::new("http://no-such-host.invalid:1") });
    let status = ask(&real.unwrap(), READ, "").await.unwrap_err();
    assert_eq!(Problem::from(&status).reason, "UNKNOWN_HOST", "{status}");
}
