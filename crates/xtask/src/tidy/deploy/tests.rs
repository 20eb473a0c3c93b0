//! Every kind of drift is put into a copy of the files, and must be found.

use std::path::Path;

use super::*;

/// A small workspace: two stages, of which one calls the other, and a worker.
const STAGE: &str = r#"
//! Stages.
use gristmill_rpc::ServerConfig;
pub const MILL: Peer = Peer { stage: "mill", health: "peer.mill", ports: (7701, 7781) };
pub const BAKERY: Peer = Peer { stage: "bakery", health: "peer.bakery", ports: (7702, 7782) };
#[derive(Serialize, Deserialize)]
pub struct Config<K: Keys> {
    pub grpc: String,
    pub server: ServerConfig,
    pub token: Option<SecretRef>,
    pub peers: BTreeMap<String, String>,
    #[serde(flatten, with = "section")]
    pub own: K,
}
#[derive(Debug, Subcommand)]
pub enum Verb { Serve(Flags), Migrate(Flags) }
#[derive(Debug, Args)]
pub struct Flags {
    #[arg(long, env = "GRISTMILL_CONFIG")]
    pub config: Option<PathBuf>,
    #[arg(long)]
    pub data_dir: Option<String>,
}
"#;
const RPC: &str = "//! Rpc.\n#[derive(Deserialize)]\npub struct ServerConfig { pub insecure: bool }\n";
const BAKERY: &str = r#"
//! Bakery.
#[derive(Deserialize)]
pub struct BakeryConfig { pub ovens: Ovens }
#[derive(Deserialize)]
pub struct Ovens { pub count: usize }
#[derive(Deserialize)]
pub struct WorkConfig { pub hands: usize }
impl Keys for BakeryConfig {
    const BINARY: &'static str = "gristmill-bakery";
    const SECTION: &'static str = "bakery";
    const PORTS: Option<(u16, u16)> = Some(serve::BAKERY.ports);
    const PEERS: &'static [Peer] = &[serve::MILL];
}
impl Keys for WorkConfig {
    const BINARY: &'static str = BakeryConfig::BINARY;
    const SECTION: &'static str = "work";
    const PORTS: Option<(u16, u16)> = None;
    const PEERS: &'static [Peer] = &[serve::BAKERY];
}
#[derive(Args)]
struct WorkArgs {
    #[arg(long)]
    endpoint: Option<String>,
}
"#;

fn programs() -> Programs {
    let sources = [
        Source::new("crates/stage/src/serve.rs".into(), STAGE.into()),
        Source::new("crates/rpc/src/server.rs".into(), RPC.into()),
        Source::new("crates/bakery/src/config.rs".into(), BAKERY.into()),
    ];
    Programs::read(sources.iter()).unwrap()
}

#[test]
fn programs_are_read_with_their_settings_ports_and_calls() {
    let programs = programs();
    let stage = programs.of("registry.example/gristmill-bakery:1", "serve").unwrap();
    assert_eq!((stage.role().as_str(), stage.ports), ("bakery", Some((7702, 7782))));
    for known in ["grpc", "server.insecure", "token", "peers.mill", "bakery", "bakery.ovens.count"] {
        assert_eq!(stage.knows(known), Ok(()), "{known}");
    }
    for unknown in ["rest", "server.secure", "grpc.port", "ovens", "bakery.count", "work.hands", "own"] {
        assert!(stage.knows(unknown).is_err(), "{unknown}");
    }
    assert_eq!(stage.verbs().collect::<Vec<_>>(), ["serve", "migrate"]);
    assert!(stage.peer("mill", "http://mill:7701").is_ok());
    for (peer, endpoint) in
        [("mill", "http://mill:7702"), ("mill", "http://other:7701"), ("bakery", "http://bakery:7702")]
    {
        assert!(stage.peer(peer, endpoint).is_err(), "{peer} {endpoint}");
    }

    let worker = programs.of("gristmill-bakery", "work").unwrap();
    assert_eq!((worker.role().as_str(), worker.ports), ("bakery-worker", None));
    assert!(worker.knows("work.hands").is_ok() && worker.knows("bakery.ovens").is_err());
    assert_eq!(worker.verbs().collect::<Vec<_>>(), ["work"]);
    assert!(worker.flags().any(|flag| flag == "endpoint") && worker.flags().any(|flag| flag == "data-dir"));
    assert!(programs.of("gristmill-mill", "serve").is_none(), "it has settings of nobody");
}

#[test]
fn words_of_a_command_line_are_looked_up() {
    let programs = programs();
    let found = |image: &str, line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut findings = Vec::new();
        arguments("x", programs.of(image, &words[0]).unwrap(), &words, &mut findings);
        findings.len()
    };
    assert_eq!(found("gristmill-bakery", "serve --config a --data-dir b"), 0);
    assert_eq!(found("gristmill-bakery", "work --endpoint http://bakery:7702"), 0);
    assert_eq!(found("gristmill-bakery", "work --endpoint http://bakery:7701"), 1);
    assert_eq!(found("gristmill-bakery", "serve --quick"), 1);
    assert_eq!(found("gristmill-bakery", "bake"), 1);
}

/// File, what stands there, what stands there after one side has moved, a word of the finding.
const DRIFTS: [(&str, &str, &str, &str); 22] = [
    ("docker-compose.yml", "GRISTMILL_AUTH__TOKENS", "GRISTMILL_AUTH__TOKEN", "no setting"),
    ("docker-compose.yml", "GRISTMILL_HTTP: 0.0.0.0:7785", "GRISTMILL_HTTP: 0.0.0.0:7795", "port 7785"),
    ("docker-compose.yml", "http://training:7703\"]", "http://training:7704\"]", "not where training is"),
    ("docker-compose.yml", "\"127.0.0.1:7706:7706\"", "\"127.0.0.1:7706:7716\"", "leads to no port"),
    ("docker-compose.yml", "exec $$0 serve", "exec $$0 run", "has no command `run`"),
    (
        "docker-compose.yml",
        "secret-serving:/run/secrets/token",
        "secret-serving:/run/secrets/tokn",
        "nothing is mounted",
    ),
    ("docker-compose.yml", "gristmill-monitoring:0", "gristmill-monitoring:9", "version"),
    ("deploy/docker/Dockerfile", "EXPOSE 7703 7783", "EXPOSE 7703 7784", "EXPOSE 7703 7783"),
    ("deploy/docker/Dockerfile", "FROM rust:1.", "FROM rust:0.", "another Rust"),
    ("deploy/docker/Dockerfile", "ARG PROFILE=dist", "ARG PROFILE=small", "no profile"),
    ("deploy/docker/Dockerfile", "--package gristmill-serving ", "", "is not built"),
    ("deploy/k8s/base/shared.env", "GRISTMILL_DRAIN_SECONDS=30", "GRISTMILL_DRAIN_SECONDS=50", "a drain may take"),
    ("deploy/k8s/base/shared.env", "GRISTMILL_STORE__CACHE_BYTES", "GRISTMILL_STORE__CACHE", "no setting"),
    ("deploy/k8s/base/pipeline/stage.yaml", "  registry: http", "  serving: http", "does not call serving"),
    ("deploy/k8s/base/ingestion/stage.yaml", "  scratch:", "  scratches:", "`ingestion.scratches`"),
    ("deploy/k8s/base/ingestion/deployment.yaml", "--config", "--configuration", "no flag"),
    (
        "deploy/k8s/base/serving/deployment.yaml",
        "containerPort: 7786",
        "containerPort: 7780",
        "container's port `http`",
    ),
    ("deploy/k8s/base/serving/deployment.yaml", "PredictionService", "ForecastService", "no service"),
    ("deploy/k8s/base/registry/service.yaml", "port: 7705", "port: 7700", "its ports are not"),
    (
        "deploy/k8s/components/network-policy/registry.yaml",
        "name: serving",
        "name: ingestion",
        "does not call registry",
    ),
    ("deploy/k8s/components/keda/scaled-object.yaml", "trialsPerWorker", "trialsPerPod", "reads no `trialsPerPod`"),
    (
        "deploy/k8s/components/monitoring/rules.yaml",
        "gristmill_model_load_failures_total",
        "gristmill_model_failures_total",
        "no metric",
    ),
];

#[test]
fn each_drift_is_found() {
    let root = crate::codegen::root();
    let sources = Source::all(&root).unwrap();
    let copy = tempfile::tempdir().unwrap();
    for name in ["deploy", "docker-compose.yml"] {
        copied(&root.join(name), &copy.path().join(name));
    }
    let code = Code::read(&root, &sources).unwrap();
    let before = files(copy.path(), &code).unwrap();
    assert_eq!(before, [], "the copy says what the files say");
    for (name, from, to, word) in DRIFTS {
        let path = copy.path().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{name} has no `{from}`");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let found = files(copy.path(), &code).unwrap();
        assert!(found.iter().any(|finding| finding.message.contains(word)), "{name}: {from} -> {to}: {found:?}");
        std::fs::write(&path, text).unwrap();
    }
}

fn copied(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copied(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}
