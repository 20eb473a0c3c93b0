//! A TCP proxy with faults: what the network may do between two of our programs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::runtime;

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What the client sends.
    ToServer,
    /// What the server answers.
    ToClient,
}

/// What is wrong with the network now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every piece waits so long before it is sent on, one after the other: far away, and narrow.
    Delay(Duration),
    /// Nothing comes through in these directions, new connections neither; what was held comes when that ends, as TCP
    /// repeats what was lost.
    BlackHole(Vec<Way>),
    /// The connection that carries the byte of this number, counted over all connections from now on, is cut before it.
    CutAfter { way: Way, bytes: usize },
    /// The connection on which a client sends this is cut, so many times: before it is sent on, or once the server's
    /// answer to it came, which is then lost.
    CutOn { sent: &'static [u8], delivered: bool, times: usize },
}

/// How connections are ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Both sides hear of it.
    Cut,
    /// The server hears of it; the client goes on talking to nobody.
    HalfOpen,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    fault: watch::Sender<Fault>,
    /// How all connections of now end; counts up, so that the same end twice is seen twice.
    end: watch::Sender<(usize, End)>,
    /// Bytes that passed since the fault was set, for `CutAfter`; cuts made, for `CutOn`.
    spent: AtomicUsize,
    fired: AtomicUsize,
    open: AtomicUsize,
}

/// A running proxy; ends with the value.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Forwards what comes to its own address to `target`.
    pub fn to(target: SocketAddr) -> Self {
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            fault: watch::Sender::new(Fault::None),
            end: watch::Sender::new((0, End::Cut)),
            spent: AtomicUsize::new(0),
            fired: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let accepting = runtime().spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, accepting }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets what is wrong from now on; `Fault::None` heals.
    pub fn set(&self, fault: Fault) {
        self.shared.spent.store(0, Ordering::SeqCst);
        self.shared.fault.send_replace(fault);
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.end(End::Cut);
    }

    /// Leaves all connections half open: closed for the server, silent for the client. New ones are served.
    pub fn half_open(&self) {
        self.end(End::HalfOpen);
    }

    fn end(&self, how: End) {
        self.shared.fired.fetch_add(self.open(), Ordering::SeqCst);
        self.shared.end.send_modify(|end| *end = (end.0 + 1, how));
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How often a fault happened: pieces delayed or held, connections cut or left half open.
    pub fn fired(&self) -> usize {
        self.shared.fired.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with the proxy: the set is dropped with this task.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let _ = client.set_nodelay(true);
        connections.spawn(connection(client, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(client: TcpStream, shared: Arc<Shared>) {
    let mut end = shared.end.subscribe();
    end.mark_unchanged();
    let mut fault = shared.fault.subscribe();
    if matches!(&*fault.borrow(), Fault::BlackHole(_)) {
        shared.fired.fetch_add(1, Ordering::SeqCst);
    }
    let Ok(_) = fault.wait_for(|fault| !matches!(fault, Fault::BlackHole(_))).await else { return };
    let Ok(server) = TcpStream::connect(shared.target).await else { return };
    let _ = server.set_nodelay(true);
    shared.open.fetch_add(1, Ordering::SeqCst);
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let lose = AtomicBool::new(false);
    let half_open = tokio::select! {
        // First, so that nothing is carried that comes free afterwards.
        biased;
        changed = end.changed() => changed.is_ok() && end.borrow().1 == End::HalfOpen,
        () = pump(&shared, Way::ToServer, &mut from_client, &mut to_server, &lose) => false,
        () = pump(&shared, Way::ToClient, &mut from_server, &mut to_client, &lose) => false,
    };
    shared.open.fetch_sub(1, Ordering::SeqCst);
    if half_open {
        drop((from_server, to_server));
        // The client's side stays as it is until somebody ends it too.
        let _ = end.changed().await;
        drop((from_client, to_client));
    }
}

/// Carries one direction until its end, or until a fault ends the connection.
async fn pump(shared: &Shared, way: Way, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, lose: &AtomicBool) {
    let mut piece = vec![0; 16 << 10];
    let mut faults = shared.fault.subscribe();
    while let Ok(read) = from.read(&mut piece).await {
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { return };
        let fault = faults.borrow_and_update().clone();
        if way == Way::ToClient && lose.load(Ordering::SeqCst) {
            shared.fired.fetch_add(1, Ordering::SeqCst);
            return;
        }
        match shared.meets(&fault, way, bytes) {
            Meets::Nothing => {}
            Meets::Delay(time) => tokio::time::sleep(time).await,
            Meets::Hold => {
                let through = |fault: &Fault| !matches!(fault, Fault::BlackHole(ways) if ways.contains(&way));
                if faults.wait_for(through).await.is_err() {
                    return;
                }
            }
            Meets::CutAfter(passed) => {
                let _ = to.write_all(bytes.get(..passed).unwrap_or(bytes)).await;
                return;
            }
            Meets::Lose => lose.store(true, Ordering::SeqCst),
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// What a piece meets.
enum Meets {
    Nothing,
    Delay(Duration),
    Hold,
    /// The connection is cut after so many bytes of the piece.
    CutAfter(usize),
    /// The piece passes, its answer does not.
    Lose,
}

impl Shared {
    fn meets(&self, fault: &Fault, way: Way, bytes: &[u8]) -> Meets {
        let fired = |meets| {
            self.fired.fetch_add(1, Ordering::SeqCst);
            meets
        };
        match fault {
            Fault::Delay(time) => fired(Meets::Delay(*time)),
            Fault::BlackHole(ways) if ways.contains(&way) => fired(Meets::Hold),
            Fault::CutAfter { way: cut, bytes: limit } if *cut == way => {
                let before = self.spent.fetch_add(bytes.len(), Ordering::SeqCst);
                // Once: later pieces find the number far behind.
                let here = (before..before + bytes.len()).contains(limit);
                if here { fired(Meets::CutAfter(limit - before)) } else { Meets::Nothing }
            }
            Fault::CutOn { sent, delivered, times } if way == Way::ToServer && holds(bytes, sent) => {
                match (self.spent.fetch_add(1, Ordering::SeqCst) < *times, delivered) {
                    (false, _) => Meets::Nothing,
                    (true, false) => fired(Meets::CutAfter(0)),
                    // Counted when the answer is lost.
                    (true, true) => Meets::Lose,
                }
            }
            _ => Meets::Nothing,
        }
    }
}

fn holds(bytes: &[u8], searched: &[u8]) -> bool {
    bytes.windows(searched.len().max(1)).any(|window| window == searched)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener as Listener, TcpStream as Stream};

    use super::*;
    use crate::until;

    /// A server that gives back what it gets, and a proxy before it.
    fn echo() -> Proxy {
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                std::thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
            }
        });
        Proxy::to(address)
    }

    fn connect(proxy: &Proxy) -> Stream {
        let stream = Stream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(crate::PATIENCE)).unwrap();
        stream
    }

    fn ask(stream: &mut Stream, text: &str) -> std::io::Result<String> {
        stream.write_all(text.as_bytes())?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    #[test]
    fn without_a_fault_everything_passes_and_none_fires() {
        let proxy = echo();
        assert_eq!(ask(&mut connect(&proxy), "flour").unwrap(), "flour");
        assert_eq!(proxy.fired(), 0);
    }

    #[test]
    fn what_is_held_comes_when_the_hole_closes() {
        for way in [Way::ToServer, Way::ToClient] {
            let proxy = echo();
            let mut stream = connect(&proxy);
            assert_eq!(ask(&mut stream, "before").unwrap(), "before");
            proxy.set(Fault::BlackHole(vec![way]));
            stream.write_all(b"after").unwrap();
            until("something is held", || proxy.fired() > 0);
            stream.set_nonblocking(true).unwrap();
            assert!(stream.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
            stream.set_nonblocking(false).unwrap();
            proxy.set(Fault::None);
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"after");
        }
    }

    #[test]
    fn a_connection_is_cut_after_so_many_bytes_and_only_once() {
        let proxy = echo();
        let mut stream = connect(&proxy);
        proxy.set(Fault::CutAfter { way: Way::ToClient, bytes: 3 });
        stream.write_all(b"flour").unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!((answer.as_slice(), proxy.fired()), (&b"flo"[..], 1));
        assert_eq!(ask(&mut connect(&proxy), "water").unwrap(), "water");
    }

    #[test]
    fn a_connection_is_cut_on_what_is_sent_before_or_after_it_arrives() {
        for delivered in [false, true] {
            let proxy = echo();
            proxy.set(Fault::CutOn { sent: b"COMMIT", delivered, times: 1 });
            assert_eq!(ask(&mut connect(&proxy), "BEGIN").unwrap(), "BEGIN");
            assert!(ask(&mut connect(&proxy), "COMMIT").is_err());
            assert_eq!(proxy.fired(), 1);
            assert_eq!(ask(&mut connect(&proxy), "COMMIT").unwrap(), "COMMIT");
        }
    }

    #[test]
    fn half_open_is_silence_and_cut_is_an_end() {
        let proxy = echo();
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream, "before").unwrap(), "before");
        proxy.half_open();
        until("the server's side is gone", || proxy.open() == 0);
        stream.write_all(b"x").unwrap();
        stream.set_nonblocking(true).unwrap();
        assert!(stream.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
        stream.set_nonblocking(false).unwrap();
        let mut new = connect(&proxy);
        assert_eq!(ask(&mut new, "new").unwrap(), "new");
        proxy.cut();
        for mut ended in [stream, new] {
            let mut rest = Vec::new();
            assert!(ended.read_to_end(&mut rest).is_err() || rest.is_empty());
        }
        assert_eq!(proxy.fired(), 2);
    }

    #[test]
    fn a_delay_is_counted_and_changes_nothing() {
        let proxy = echo();
        proxy.set(Fault::Delay(Duration::from_millis(5)));
        assert_eq!(ask(&mut connect(&proxy), "slow").unwrap(), "slow");
        assert!(proxy.fired() >= 2);
    }
}
