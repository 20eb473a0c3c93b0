//! The stages as processes of their own: one store, a data directory each.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Desk, free, http};

/// Every stage.
pub const STAGES: [&str; 8] =
    ["ingestion", "preparation", "training", "evaluation", "registry", "serving", "monitoring", "pipeline"];

/// How long anything may take to come about.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running program of ours, killed at the end.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: Option<std::thread::JoinHandle<String>>,
}

/// Addresses of all stages, and those of them that run.
#[derive(Debug)]
pub struct Stages<'a> {
    desk: &'a Desk,
    addresses: BTreeMap<&'static str, (SocketAddr, SocketAddr)>,
    running: BTreeMap<&'static str, Program>,
}

impl Program {
    /// Starts a command and keeps what it logs.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        // Read on, or a full pipe stops the program.
        let log = std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).collect::<Vec<_>>().join("\n")
        });
        Self { child, log: Some(log) }
    }

    /// Asks it to end, waits for it, and answers exit code and log.
    pub fn end(self) -> (i32, String) {
        self.signal("TERM");
        self.ended()
    }

    /// Waits for its end, and answers exit code and log.
    pub fn ended(mut self) -> (i32, String) {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code().unwrap_or(-1), self.kill());
            }
            std::thread::yield_now();
        }
        panic!("it did not end: {}", self.kill());
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let (signal, pid) = (format!("-{name}"), self.pid().to_string());
        assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills it and answers what it logged.
    pub fn kill(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.log.take().and_then(|log| log.join().ok()).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

impl<'a> Stages<'a> {
    /// Addresses for all, nothing started.
    pub fn new(desk: &'a Desk) -> Self {
        let addresses = STAGES.iter().map(|stage| (*stage, (free(), free()))).collect();
        Self { desk, addresses, running: BTreeMap::new() }
    }

    /// All of them, started and ready.
    pub fn all(desk: &'a Desk) -> Self {
        let mut stages = Self::new(desk);
        for stage in STAGES {
            stages.start(stage, &[]);
        }
        for stage in STAGES {
            stages.wait_ready(stage);
        }
        stages
    }

    /// Where a stage serves gRPC.
    pub fn grpc(&self, stage: &str) -> SocketAddr {
        self.addresses[stage].0
    }

    /// What a program needs to share the store: `--data-dir` and `--store`.
    pub fn places(&self, folder: &str) -> Vec<String> {
        let (data, store) = (self.desk.path().join(folder), self.desk.path().join("shared"));
        vec![format!("--data-dir={}", data.display()), format!("--store=file://{}", store.display())]
    }

    /// The arguments of a stage's `serve`.
    pub fn arguments(&self, stage: &str) -> Vec<String> {
        let (grpc, http) = self.addresses[stage];
        let mut args = vec!["serve".to_owned(), format!("--grpc={grpc}"), format!("--http={http}")];
        args.extend(self.places(stage));
        let peers: &[&str] = match stage {
            "pipeline" => &["ingestion", "preparation", "training", "evaluation", "registry"],
            "serving" => &["registry"],
            // Asked what they hold before garbage is collected.
            "registry" => &["ingestion", "preparation", "training", "evaluation", "serving", "monitoring", "pipeline"],
            _ => &[],
        };
        args.extend(peers.iter().map(|peer| format!("--set=peers.{peer}=http://{}", self.grpc(peer))));
        args
    }

    /// Starts a stage, again at the same addresses if it was killed.
    pub fn start(&mut self, stage: &'static str, more: &[&str]) {
        let args = self.arguments(stage);
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let command = self.desk.command_of(&format!("gristmill-{stage}"), &args);
        self.running.insert(stage, Program::start(command));
    }

    /// Kills a stage as a power cut would.
    pub fn kill(&mut self, stage: &str) -> String {
        self.running.remove(stage).unwrap().kill()
    }

    /// Asks a stage to end; answers exit code and log.
    pub fn end(&mut self, stage: &str) -> (i32, String) {
        self.running.remove(stage).unwrap().end()
    }

    /// What a stage says of its readiness, if it is there.
    pub fn readiness(&self, stage: &str) -> Option<(u16, Value)> {
        let (status, body) = http(self.addresses[stage].1, "GET", "/health/ready", "")?;
        Some((status, serde_json::from_str(&body).ok()?))
    }

    /// A page of a stage's HTTP.
    pub fn page(&self, stage: &str, path: &str) -> String {
        http(self.addresses[stage].1, "GET", path, "").map(|answer| answer.1).unwrap_or_default()
    }

    /// Waits until a stage is ready.
    pub fn wait_ready(&mut self, stage: &str) {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if self.readiness(stage).is_some_and(|(status, _)| status == 200) {
                return;
            }
            let program = self.running.get_mut(stage).unwrap();
            assert!(!program.has_ended(), "{stage} ended: {}", program.kill());
            std::thread::yield_now();
        }
        panic!("{stage} was not ready: {}", self.kill(stage));
    }

    /// For the command line's `--endpoint`.
    pub fn endpoints(&self) -> String {
        let one = |(stage, (grpc, _)): (&&str, &(SocketAddr, SocketAddr))| format!("{stage}=http://{grpc}");
        self.addresses.iter().map(one).collect::<Vec<_>>().join(",")
    }
}
