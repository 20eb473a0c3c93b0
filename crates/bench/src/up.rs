//! How soon the all-in-one is ready, and what it holds.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::process::{Product, Running, median, resident_mib};

/// A started `gristmill up`.
#[derive(Debug)]
pub(crate) struct Up {
    pub process: Running,
    pub http: SocketAddr,
    /// Seconds from start to the first answer that it is ready.
    pub ready: f64,
}

/// Starts `gristmill up` on free ports and waits until it is ready.
pub(crate) fn start(product: &Product, data: &Path) -> anyhow::Result<Up> {
    let (grpc, http) = (free_port()?, free_port()?);
    let (grpc_text, http_text) = (grpc.to_string(), http.to_string());
    let mut command = product.command(data, &["up", "--grpc", &grpc_text, "--http", &http_text]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let mut process = Running(command.spawn()?);
    while begin.elapsed() < Duration::from_secs(30) {
        if get(http, "/v2/health/ready").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            return Ok(Up { process, http, ready: begin.elapsed().as_secs_f64() });
        }
        if let Some(status) = process.0.try_wait()? {
            bail!("gristmill up ended with {status}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("gristmill up was not ready within 30 s")
}

fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// One GET over a connection of its own; the whole answer as text.
pub(crate) fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

pub(crate) fn run(product: &Product, starts: usize) -> anyhow::Result<()> {
    let mut ready = Vec::new();
    let mut idle = Vec::new();
    for _ in 0..starts {
        let data = tempfile::tempdir()?;
        let up = start(product, data.path())?;
        ready.push(up.ready * 1000.0);
        std::thread::sleep(Duration::from_millis(500));
        idle.push(resident_mib(up.process.0.id()));
    }
    println!("| `gristmill up`, {starts} starts | median |");
    println!("|---|---|");
    println!("| ready, ms | {:.0} |", median(&ready));
    println!("| idle resident, MiB | {:.1} |", median(&idle));

    let data = tempfile::tempdir()?;
    let up = start(product, data.path())?;
    let run = crate::process::measure(product.command(data.path(), &["run", "examples/flights/pipeline.yaml"]))?;
    if run.code != Some(0) {
        bail!("the flights run in `up` ended with {:?}", run.code);
    }
    std::thread::sleep(Duration::from_secs(10));
    println!("| resident 10 s after the flights run in `up`, MiB | {:.1} |", resident_mib(up.process.0.id()));
    let health = get(up.http, "/v2/health/ready").context("`up` answers after the run")?;
    if !health.starts_with("HTTP/1.1 200") {
        bail!("`up` is no longer ready after the run");
    }
    Ok(())
}
