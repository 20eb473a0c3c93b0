//! The replicas of one server: which there are, which live, and which is next.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::config::Host;
use super::connect::{Connection, Target, connect};
use super::resolve::Resolve;
use super::retry::jittered;
use crate::tls::Fault;

/// A name is not asked for again sooner, however many connections fail.
const RESOLVE_PAUSE: Duration = Duration::from_secs(1);
/// First and longest time that a replica which cannot be reached is passed over.
const DOWN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// All replicas.
#[derive(Debug)]
pub(super) struct Pool {
    target: Target,
    hosts: Vec<Host>,
    resolver: Arc<dyn Resolve>,
    resolve_every: Duration,
    state: Mutex<State>,
    /// Held while names are asked for: one question at a time.
    asking: tokio::sync::Mutex<()>,
    /// Moves on with every pick, so that equals take turns.
    turn: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    replicas: Vec<Arc<Replica>>,
    asked: Option<Instant>,
}

/// One address.
#[derive(Debug)]
pub(super) struct Replica {
    address: SocketAddr,
    host: String,
    calls: AtomicUsize,
    connecting: AtomicBool,
    connection: tokio::sync::Mutex<Option<Connection>>,
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    /// Failures in a row.
    failures: u32,
    last: Option<(Instant, Fault)>,
    until: Option<Instant>,
}

/// One call under way on a replica.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Replica>);

impl UnderWay {
    fn new(replica: Arc<Replica>) -> Self {
        replica.calls.fetch_add(1, Ordering::Relaxed);
        Self(replica)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(super) fn new(target: Target, hosts: Vec<Host>, resolver: Arc<dyn Resolve>, resolve_every: Duration) -> Self {
        let asking = tokio::sync::Mutex::default();
        Self { target, hosts, resolver, resolve_every, state: Mutex::default(), asking, turn: AtomicUsize::new(0) }
    }

    /// A live connection to the replica with the fewest calls; equals take turns. One that cannot be
    /// reached is passed over for a while; when none can, names are asked for again.
    ///
    /// # Errors
    /// The last [`Fault`] when no replica can be reached.
    pub(super) async fn pick(self: &Arc<Self>) -> Result<(Connection, UnderWay), Fault> {
        self.refresh().await?;
        let mut last = None;
        for again in [true, false] {
            for replica in self.order() {
                // Counted from here on: whoever comes meanwhile goes to another one.
                let under_way = UnderWay::new(Arc::clone(&replica));
                match replica.connection(&self.target).await {
                    Ok(connection) => return Ok((connection, under_way)),
                    Err(fault) => last = Some(fault),
                }
            }
            if !(again && self.ask_again().await) {
                break;
            }
        }
        Err(last.unwrap_or_else(|| no_address(&self.target.text)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that there are addresses, and that old ones are asked for in the background.
    async fn refresh(self: &Arc<Self>) -> Result<(), Fault> {
        let asked = self.lock().asked;
        match asked {
            None => {
                let _one = self.asking.lock().await;
                if self.lock().asked.is_none() {
                    self.ask().await?;
                }
            }
            Some(at) if at.elapsed() >= self.resolve_every => self.ask_beside(),
            Some(_) => {}
        }
        Ok(())
    }

    fn ask_beside(self: &Arc<Self>) {
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(_one) = pool.asking.try_lock() else { return };
            if let Err(fault) = pool.ask().await {
                tracing::warn!(error = fault.message, "names not resolved, the known addresses stay");
            }
        });
    }

    /// Asks again after every address failed; whether there is a new one now.
    async fn ask_again(&self) -> bool {
        let _one = self.asking.lock().await;
        let before = {
            let state = self.lock();
            if state.asked.is_some_and(|at| at.elapsed() < RESOLVE_PAUSE) {
                return false;
            }
            state.replicas.clone()
        };
        let known = |address| before.iter().any(|replica| replica.address == address);
        self.ask().await.is_ok() && self.lock().replicas.iter().any(|replica| !known(replica.address))
    }

    /// Asks for the addresses of all hosts; replicas that stay keep their connections.
    async fn ask(&self) -> Result<(), Fault> {
        let mut found: Vec<(SocketAddr, &Host)> = Vec::new();
        let mut failed: Option<io::Error> = None;
        for host in &self.hosts {
            match self.resolver.resolve(&host.name, host.port).await {
                Ok(addresses) => found.extend(addresses.into_iter().map(|address| (address, host))),
                Err(error) => failed = Some(error),
            }
        }
        let mut state = self.lock();
        if found.is_empty() {
            // Known addresses outlive a name server that is away.
            if !state.replicas.is_empty() {
                state.asked = Some(Instant::now());
            }
            return Err(match failed {
                Some(error) => Fault::passing(
                    "UNKNOWN_HOST",
                    format!("the name in {} cannot be resolved: {error}", self.target.text),
                ),
                None => no_address(&self.target.text),
            });
        }
        let mut replicas: Vec<Arc<Replica>> = Vec::with_capacity(found.len());
        for (address, host) in found {
            if replicas.iter().any(|replica| replica.address == address) {
                continue;
            }
            let known = state.replicas.iter().find(|replica| replica.address == address && replica.host == host.name);
            replicas.push(known.cloned().unwrap_or_else(|| Arc::new(Replica::new(address, host.name.clone()))));
        }
        // One that could not be asked for keeps what it had.
        if failed.is_some() {
            let old = state.replicas.iter().filter(|old| !replicas.iter().any(|new| new.address == old.address));
            let old: Vec<_> = old.cloned().collect();
            replicas.extend(old);
        }
        *state = State { replicas, asked: Some(Instant::now()) };
        Ok(())
    }

    /// The replicas in the order they are tried.
    fn order(&self) -> Vec<Arc<Replica>> {
        let mut replicas = self.lock().replicas.clone();
        let count = replicas.len().max(1);
        replicas.rotate_left(self.turn.fetch_add(1, Ordering::Relaxed) % count);
        let now = Instant::now();
        // Stable: equals stay in turn.
        replicas.sort_by_cached_key(|replica| replica.rank(now));
        replicas
    }
}

fn no_address(text: &str) -> Fault {
    Fault::passing("UNKNOWN_HOST", format!("the name in {text} has no address now"))
}

impl Replica {
    fn new(address: SocketAddr, host: String) -> Self {
        Self {
            address,
            host,
            calls: AtomicUsize::new(0),
            connecting: AtomicBool::new(false),
            connection: tokio::sync::Mutex::default(),
            trouble: Mutex::default(),
        }
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rank(&self, now: Instant) -> (bool, bool, usize) {
        let down = self.trouble().until.is_some_and(|until| until > now);
        (down, self.connecting.load(Ordering::Relaxed), self.calls.load(Ordering::Relaxed))
    }

    /// The live connection, or a new one. Callers that wait for the same attempt share its end.
    async fn connection(&self, target: &Target) -> Result<Connection, Fault> {
        let began = Instant::now();
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| !connection.send.is_closed()) {
            return Ok(connection.clone());
        }
        if let Some((at, fault)) = &self.trouble().last
            && *at > began
        {
            return Err(fault.clone());
        }
        self.connecting.store(true, Ordering::Relaxed);
        let connected = connect(target, &self.host, self.address).await;
        self.connecting.store(false, Ordering::Relaxed);
        match connected {
            Ok(connection) => {
                *slot = Some(connection.clone());
                Ok(connection)
            }
            Err(fault) => {
                *slot = None;
                self.failed(fault.clone());
                Err(fault)
            }
        }
    }

    fn failed(&self, fault: Fault) {
        let mut trouble = self.trouble();
        let pause = DOWN.0.saturating_mul(1 << trouble.failures.min(6)).min(DOWN.1);
        trouble.failures += 1;
        let now = Instant::now();
        trouble.until = Some(now + jittered(pause));
        trouble.last = Some((now, fault));
    }
}

impl UnderWay {
    /// The server answered.
    pub(super) fn answered(&self) {
        let mut trouble = self.0.trouble();
        if trouble.failures > 0 {
            *trouble = Trouble::default();
        }
    }

    /// The connection broke under the call: passed over for a moment, or a server that refuses this
    /// client after the handshake would be connected to without a pause.
    pub(super) fn broke(&self, fault: &Fault) {
        self.0.failed(fault.clone());
    }
}
