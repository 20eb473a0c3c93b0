//! The other stages: where they are by default, and the channels to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use gristmill_rpc::channel::RemoteConfig;
use gristmill_rpc::{Channel, ClientTlsConfig};
use gristmill_store::RootProvider;
use gristmill_types::Clock;

use super::{Config, Keys};
use crate::{Failure, Limits, RemoteRoots, Unreached};

/// A stage as others know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its name, the key in `peers`.
    pub stage: &'static str,
    /// The name under which gRPC health says whether it is reached.
    pub health: &'static str,
    /// Its default ports of gRPC and HTTP on loopback.
    pub ports: (u16, u16),
}

/// `gristmill-ingestion`.
pub const INGESTION: Peer = Peer { stage: "ingestion", health: "peer.ingestion", ports: (7701, 7781) };
/// `gristmill-preparation`.
pub const PREPARATION: Peer = Peer { stage: "preparation", health: "peer.preparation", ports: (7702, 7782) };
/// `gristmill-training`.
pub const TRAINING: Peer = Peer { stage: "training", health: "peer.training", ports: (7703, 7783) };
/// `gristmill-evaluation`.
pub const EVALUATION: Peer = Peer { stage: "evaluation", health: "peer.evaluation", ports: (7704, 7784) };
/// `gristmill-registry`.
pub const REGISTRY: Peer = Peer { stage: "registry", health: "peer.registry", ports: (7705, 7785) };
/// `gristmill-serving`.
pub const SERVING: Peer = Peer { stage: "serving", health: "peer.serving", ports: (7706, 7786) };
/// `gristmill-monitoring`.
pub const MONITORING: Peer = Peer { stage: "monitoring", health: "peer.monitoring", ports: (7707, 7787) };
/// `gristmill-pipeline`.
pub const PIPELINE: Peer = Peer { stage: "pipeline", health: "peer.pipeline", ports: (7708, 7788) };

impl Peer {
    pub(super) fn default_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.0)
    }
}

/// Channels to the stages that a program calls. They connect when they are used, and again after a loss,
/// so the order in which processes start does not matter.
#[derive(Debug)]
pub struct Peers {
    called: BTreeMap<&'static str, Reached>,
    /// Those that are only asked what they hold; none where no endpoint is configured.
    asked: BTreeMap<&'static str, Option<Channel>>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) peer: Peer,
    pub(super) endpoint: String,
    pub(super) channel: Channel,
}

impl Peers {
    /// Makes the channels.
    ///
    /// # Errors
    /// An endpoint is missing or is none, or the token cannot be read.
    pub(super) fn connect<K: Keys>(config: &Config<K>) -> Result<Self, Failure> {
        let mut called = BTreeMap::new();
        for peer in K::PEERS {
            let endpoint = endpoint(config, peer);
            let endpoint = endpoint.ok_or_else(|| wrong(peer, "name its endpoint, such as http://host:port"))?.clone();
            let channel = channel(config, peer, &endpoint)?;
            called.insert(peer.stage, Reached { peer: *peer, endpoint, channel });
        }
        let mut asked = BTreeMap::new();
        for peer in K::HOLDERS {
            let channel = endpoint(config, peer).map(|endpoint| channel(config, peer, endpoint)).transpose()?;
            asked.insert(peer.stage, channel);
        }
        Ok(Self { called, asked })
    }

    /// The channel to `peer`.
    ///
    /// # Errors
    /// A defect of ours: the program does not name it among its peers.
    pub fn channel(&self, peer: Peer) -> Result<Channel, Failure> {
        let reached = self.called.get(peer.stage).map(|reached| reached.channel.clone());
        reached.ok_or_else(|| Failure::failed(format!("the program does not name {} among its peers", peer.stage)))
    }

    /// What the stages of [`Keys::HOLDERS`] hold, each asked where it is; one without an endpoint never answers.
    pub fn holders(&self, clock: &Arc<dyn Clock>) -> Vec<Arc<dyn RootProvider>> {
        let one = |(stage, channel): (&&'static str, &Option<Channel>)| -> Arc<dyn RootProvider> {
            match channel {
                Some(at) => Arc::new(RemoteRoots::new(*stage, at.clone(), Arc::clone(clock), Limits::default())),
                None => Arc::new(Unreached(stage)),
            }
        };
        self.asked.iter().map(one).collect()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Reached> {
        self.called.values()
    }
}

fn wrong(peer: &Peer, message: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("peers.{}: {message}", peer.stage))
}

fn endpoint<'a, K: Keys>(config: &'a Config<K>, peer: &Peer) -> Option<&'a String> {
    config.peers.get(peer.stage).filter(|endpoint| !endpoint.is_empty())
}

fn channel<K: Keys>(config: &Config<K>, peer: &Peer, endpoint: &str) -> Result<Channel, Failure> {
    // The process's certificates are for peers that are reached by TLS; one beside it may be reached without.
    let tls = if endpoint.starts_with("https://") { config.tls.of_client() } else { ClientTlsConfig::default() };
    let remote = RemoteConfig { token: config.token.clone(), tls, ..RemoteConfig::new(endpoint) };
    Channel::open(&remote).map_err(|problem| wrong(peer, problem))
}
