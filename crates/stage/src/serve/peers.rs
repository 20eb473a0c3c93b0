//! The other stages: where they are by default, and the channels to them.

use std::collections::BTreeMap;

use gristmill_rpc::channel::RemoteConfig;
use gristmill_rpc::{Channel, ClientTlsConfig};

use super::{Config, Keys};
use crate::Failure;

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
pub struct Peers(BTreeMap<&'static str, Reached>);

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
        let mut peers = BTreeMap::new();
        for peer in K::PEERS {
            let wrong = |message: String| Failure::usage(format!("peers.{}: {message}", peer.stage));
            let endpoint = config.peers.get(peer.stage).filter(|endpoint| !endpoint.is_empty());
            let endpoint = endpoint.ok_or_else(|| wrong("name its endpoint, such as http://host:port".into()))?.clone();
            // The process's certificates are for peers that are reached by TLS; one beside it may be reached without.
            let tls =
                if endpoint.starts_with("https://") { config.tls.of_client() } else { ClientTlsConfig::default() };
            let remote = RemoteConfig { token: config.token.clone(), tls, ..RemoteConfig::new(&endpoint) };
            let channel = Channel::open(&remote).map_err(|problem| wrong(problem.to_string()))?;
            peers.insert(peer.stage, Reached { peer: *peer, endpoint, channel });
        }
        Ok(Self(peers))
    }

    /// The channel to `peer`.
    ///
    /// # Errors
    /// A defect of ours: the program does not name it among its peers.
    pub fn channel(&self, peer: Peer) -> Result<Channel, Failure> {
        let reached = self.0.get(peer.stage).map(|reached| reached.channel.clone());
        reached.ok_or_else(|| Failure::failed(format!("the program does not name {} among its peers", peer.stage)))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Reached> {
        self.0.values()
    }
}
