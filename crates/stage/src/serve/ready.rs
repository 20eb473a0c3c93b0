//! Whether a process can do all of its work, and what it waits for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::routing::get;
use futures::future::join_all;
use gristmill_rpc::{Channel, Problem, Server, Services};
use gristmill_types::Permission;
use serde_json::json;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::Peers;
use super::peers::Reached;

/// How often a peer that is away is looked for.
const AWAY: Duration = Duration::from_millis(500);
/// How often one that was there is.
const THERE: Duration = Duration::from_secs(10);
/// How long it has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Peers that did not answer, with why. Clones share.
#[derive(Debug, Clone)]
pub(super) struct Readiness(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Readiness {
    /// None has answered yet.
    pub(super) fn new(peers: &Peers) -> Self {
        let missing = peers.all().map(|one| (one.peer.stage, format!("{} was not asked yet", one.endpoint)));
        Self(Arc::new(Mutex::new(missing.collect())))
    }

    /// `/health/live` and `/health/ready`; the latter is 503 with what is missing until nothing is.
    pub(super) fn routes(&self) -> Services {
        let this = self.clone();
        let ready = move || async move {
            let missing = this.missing();
            let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            (status, Json(json!({"ready": missing.is_empty(), "waiting_for": missing})))
        };
        let live = || async { Json(json!({"live": true})) };
        Services::new().route("/health/live", get(live), Permission::Public).route(
            "/health/ready",
            get(ready),
            Permission::Public,
        )
    }

    fn missing(&self) -> BTreeMap<&'static str, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the peers again and again, and tells gRPC health: each under its own name, and the process (the
    /// empty name) as ready when all are reached. The stage's own services stay as they are: they take and
    /// keep requests whether or not a peer is away.
    pub(super) async fn watch(self, server: &Server, peers: &Peers) {
        for one in peers.all() {
            server.set_ready(one.peer.health, false).await;
        }
        server.set_ready("", self.missing().is_empty()).await;
        join_all(peers.all().map(|one| self.look(server, one))).await;
    }

    async fn look(&self, server: &Server, one: &Reached) {
        loop {
            let answer = ask(&one.channel).await.map_err(|why| format!("{}: {why}", one.endpoint));
            let reached = answer.is_ok();
            if self.note(one.peer.stage, answer) {
                server.set_ready(one.peer.health, reached).await;
                server.set_ready("", self.missing().is_empty()).await;
            }
            tokio::time::sleep(if reached { THERE } else { AWAY }).await;
        }
    }

    /// Notes an answer; says whether the peer came or went.
    fn note(&self, stage: &'static str, answer: Result<(), String>) -> bool {
        let mut missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(()) => {
                let came = missing.remove(stage).is_some();
                if came {
                    tracing::info!(peer = stage, "peer is there");
                }
                came
            }
            Err(why) => {
                if missing.get(stage) != Some(&why) {
                    tracing::warn!(peer = stage, why, "peer is away, trying again");
                }
                missing.insert(stage, why).is_none()
            }
        }
    }
}

/// Any answer of the peer's health service will do: whether the peer is ready for others is its own affair.
async fn ask(channel: &Channel) -> Result<(), String> {
    let mut health = HealthClient::new(channel.clone());
    let asked = health.check(HealthCheckRequest { service: String::new() });
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(status)) => Err(Problem::from(&status).to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
