//! Sweeps over the contract: who is asked, who must be, and who may say that a holder is gone.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;

use gristmill_proto::artifact::artifact_service_client::ArtifactServiceClient;
use gristmill_proto::artifact::{SweepArtifactsRequest, SweepArtifactsResponse};
use gristmill_rpc::auth::Tokens;
use gristmill_rpc::{Auth, Channel, Problem, Server, ServerConfig, Surface};
use gristmill_stage::{RootServer, StageRoots};
use gristmill_store::{Holder, Location, RootProvider, Store, StoreConfig};
use gristmill_types::{ArtifactKind, ErrorCode, SystemClock};

use super::bench::Bench;
use super::shared::program;

const HOUR: i64 = 3_600_000_000;
const OTHERS: [&str; 7] = ["ingestion", "preparation", "training", "evaluation", "serving", "monitoring", "pipeline"];

async fn sweep(channel: &Channel, forget: &[&Holder], dry_run: bool) -> Result<SweepArtifactsResponse, Problem> {
    let forget_holders = forget.iter().map(ToString::to_string).collect();
    let request = SweepArtifactsRequest { dry_run, forget_holders, ..Default::default() };
    let swept = ArtifactServiceClient::new(channel.clone()).sweep_artifacts(request).await;
    swept.map(tonic::Response::into_inner).map_err(Problem::from)
}

fn reason(refused: Result<SweepArtifactsResponse, Problem>) -> (ErrorCode, String) {
    let problem = refused.unwrap_err();
    (problem.code, problem.reason.into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_registered_is_overlooked_and_only_an_administrator_of_all_forgets() {
    let bench = Bench::new().await.over_the_network().await;
    let version = bench.passed("trees").await;
    bench.artifact(ArtifactKind::Dataset, "rows of nobody", &[]).await;
    bench.clock.advance(25 * HOUR);
    let unknown = reason(sweep(&bench.channel, &[], false).await);
    assert_eq!(unknown, (ErrorCode::FailedPrecondition, "HOLDERS_UNKNOWN".into()), "still starting");

    let own = StageRoots::register(&bench.deps, "registry").await.unwrap();
    let own = own.with([Arc::new(bench.registry.clone()) as Arc<dyn RootProvider>]);
    let here = own.holder().clone();
    assert!(bench.holders.complete(vec![Arc::new(own)]));
    let gone: Holder = "training/elsewhere".parse().unwrap();
    bench.deps.store.register(&gone).await.unwrap();
    let missing = sweep(&bench.channel, &[], false).await.unwrap_err();
    assert_eq!((missing.code, &*missing.reason), (ErrorCode::FailedPrecondition, "HOLDER_NOT_ASKED"));
    assert!(missing.message.contains("training/elsewhere"), "{}", missing.message);

    let alive = reason(sweep(&bench.channel, &[&here, &gone], false).await);
    assert_eq!(alive, (ErrorCode::FailedPrecondition, "HOLDER_NOT_GONE".into()));
    let hash = |text: &str| gristmill_types::Digest::of(text.as_bytes());
    let file = format!("tokens:\n  - {{ name: ana, sha256: \"{}\", projects: {{ default: [admin] }} }}\n", hash("a"));
    let of_one_project = bench.channel_of(&file, "ana");
    let denied = reason(sweep(&of_one_project, &[&gone], false).await);
    assert_eq!(denied, (ErrorCode::PermissionDenied, "NOT_PERMITTED".into()));
    assert_eq!(sweep(&bench.channel, &[&gone], true).await.unwrap().deleted, 2);
    assert_eq!(bench.deps.store.holders().await.unwrap(), [here.clone(), gone.clone()], "a dry run");
    let swept = sweep(&bench.channel, &[&gone], false).await.unwrap();
    assert_eq!((swept.deleted, bench.deps.store.holders().await.unwrap()), (2, vec![here]));
    bench.store().verify(&version.model).await.unwrap();
    assert_eq!(sweep(&of_one_project, &[], false).await.unwrap().deleted, 0);
}

/// A running `gristmill-registry serve`; killed when dropped.
struct Process(Child, Channel);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Starts the program on its own database, with this store and these endpoints of others.
fn serve(folder: &Path, store: &Path, peers: &[(&str, String)]) -> Process {
    let mut serve = program("serve");
    let url = format!("file://{}", store.display());
    serve.args(["--grpc", "127.0.0.1:0", "--http", "", "--store", &url, "--log", "gristmill_stage=info"]);
    serve.args(["--set", "telemetry.log_format=json", "--data-dir"]).arg(folder.join("program"));
    std::fs::write(folder.join("token"), "of-the-registry").unwrap();
    serve.arg("--token").arg(format!("file:{}", folder.join("token").display()));
    for (stage, endpoint) in peers {
        serve.args(["--set", &format!("peers.{stage}={endpoint}")]);
    }
    let mut child = serve.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("127.0.0.1:"))).unwrap().unwrap();
    // What it says from now on is read, so that it never waits for us.
    std::thread::spawn(move || lines.for_each(drop));
    let at = line.split("127.0.0.1:").nth(1).unwrap();
    let port: String = at.chars().take_while(char::is_ascii_digit).collect();
    Process(child, Channel::remote(&format!("http://127.0.0.1:{port}"), None).unwrap())
}

/// The program asks all seven others, as a service without any role, and is refused by what is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_sweeps_over_all_stages_or_not_at_all() {
    let bench = Bench::new().await;
    let folder = bench.folder();
    let place = folder.join("shared");
    let config = StoreConfig::new(Location::Local(place.clone()), folder.join("shared-cache"));
    let store = Store::open(&config, Arc::new(SystemClock)).await.unwrap();
    // All seven in one process here, each a holder of its own, over the database of the tests.
    let deps = gristmill_stage::StageDeps {
        store: store.clone(),
        process: gristmill_runtime::Process::new(),
        ..bench.deps.clone()
    };
    let mut stages = Vec::new();
    for stage in OTHERS {
        stages.push(StageRoots::register(&deps, stage).await.unwrap());
    }
    let tokens = folder.join("services.yaml");
    let hash = gristmill_types::Digest::of(b"of-the-registry");
    let line =
        format!("tokens:\n  - {{ name: registry, sha256: \"{hash}\", service: true, projects: {{ \"*\": [] }} }}\n");
    std::fs::write(&tokens, line).unwrap();
    std::fs::set_permissions(&tokens, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let auth = Auth::Tokens(Arc::new(Tokens::read(&tokens).unwrap()));
    let services = RootServer::new(stages, Arc::new(SystemClock)).into_services();
    let server = Server::build(services, auth, &ServerConfig::default(), &deps.process).await.unwrap();
    let listener = server.listen("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { server.serve(listener, Surface::Grpc).await });

    let all: Vec<(&str, String)> = OTHERS.iter().map(|stage| (*stage, endpoint.clone())).collect();
    {
        let process = serve(folder, &place, &all);
        let swept = sweep(&process.1, &[], false).await.unwrap();
        assert_eq!((swept.deleted, swept.kept), (0, 0));
        assert_eq!(store.holders().await.unwrap().len(), 8, "the program registered itself");
    }
    let mut one_missing = all.clone();
    one_missing[5].1 = String::new();
    {
        let process = serve(folder, &place, &one_missing);
        let refused = sweep(&process.1, &[], false).await.unwrap_err();
        assert_eq!((refused.code, &*refused.reason), (ErrorCode::Unavailable, "ROOTS_UNAVAILABLE"));
        assert!(refused.message.contains("peers.monitoring"), "{}", refused.message);
    }
    let mut one_wrong = all;
    one_wrong[5].1 = "http://127.0.0.1:1".into();
    let process = serve(folder, &place, &one_wrong);
    let refused = sweep(&process.1, &[], true).await.unwrap_err();
    assert!(refused.message.contains("`monitoring` did not say"), "{}", refused.message);
}
