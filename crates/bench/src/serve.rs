//! Single-row predictions over REST against a bare axum JSON echo, under the same load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::process::{Product, Running, cpu_of, median};
use crate::up;

/// Set for the child that is the echo: its address.
const ECHO: &str = "GRISTMILL_BENCH_ECHO";

/// What one measurement gave.
struct Load {
    per_second: f64,
    cpu_micros: f64,
}

pub(crate) fn run(
    product: &Product,
    seconds: u64,
    connections: usize,
    rounds: usize,
    trees: u32,
) -> anyhow::Result<()> {
    if let Ok(address) = std::env::var(ECHO) {
        return echo(&address);
    }
    let folder = tempfile::tempdir()?;
    let csv = folder.path().join("rows.csv");
    std::fs::write(&csv, crate::overhead::csv(20_000, 3))?;
    let data = folder.path().join("data");
    let pipeline = folder.path().join("bench.yaml");
    std::fs::write(&pipeline, pipeline_file(trees))?;
    let (_, result) = product.json(&data, &["run", &pipeline.to_string_lossy(), "--output", "json"])?;
    eprintln!("trained {}", result.get("leaderboard").map(ToString::to_string).unwrap_or_default());
    let served = up::start(product, &data)?;
    let row = r#"{"rows":[{"a":0.5,"b":3.25,"c":0.125,"city":"Lyon","plan":"team"}]}"#;
    let predict = request(served.http, "/v1/models/bench:predict", row);
    // Ready means that the server answers; the champion is loaded a moment later.
    let begin = Instant::now();
    let mut answer = once(served.http, &predict)?;
    while answer.contains("MODEL_NOT_LOADED") && begin.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
        answer = once(served.http, &predict)?;
    }
    if !answer.starts_with("HTTP/1.1 200") || !answer.contains("probability") {
        bail!("the prediction was refused: {answer}");
    }

    let echo_address: SocketAddr = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut echo = Command::new(std::env::current_exe()?);
    echo.args(["serve", "--root"]).arg(&product.root).arg("--binary").arg(&product.binary);
    let echo = Running(echo.env(ECHO, echo_address.to_string()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let echo_request = request(echo_address, "/echo", row);
    let begin = Instant::now();
    while once(echo_address, &echo_request).is_err() {
        if begin.elapsed() > Duration::from_secs(10) {
            bail!("the echo did not start");
        }
        std::thread::sleep(Duration::from_millis(5));
    }

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        theirs.push(load(echo_address, &echo_request, echo.0.id(), seconds, connections)?);
        ours.push(load(served.http, &predict, served.process.0.id(), seconds, connections)?);
    }
    let of = |loads: &[Load], field: fn(&Load) -> f64| median(&loads.iter().map(field).collect::<Vec<_>>());
    let (a, b) = (of(&ours, |l| l.per_second), of(&theirs, |l| l.per_second));
    let (c, d) = (of(&ours, |l| l.cpu_micros), of(&theirs, |l| l.cpu_micros));
    println!("| single-row REST, {trees} trees, {connections} connections | gristmill | bare axum JSON echo | |");
    println!("|---|---|---|---|");
    println!("| requests/s | {a:.0} | {b:.0} | {:.0} % |", 100.0 * a / b);
    println!("| server CPU per request, µs | {c:.1} | {d:.1} | +{:.1} |", c - d);
    Ok(())
}

/// One boosting trial with small steps, so that every one of `trees` rounds still improves.
fn pipeline_file(trees: u32) -> String {
    format!(
        "apiVersion: gristmill/v1alpha1\nkind: Pipeline\nname: bench\nsources: {{ rows: {{ path: rows.csv }} }}\n\
         preparation: {{ target: y }}\ntraining:\n  learners: [boosting]\n  trials: 1\n  max_rounds: {trees}\n  \
         early_stopping_rounds: {trees}\n  fixed: {{ boosting.eta: 0.01 }}\n"
    )
}

/// Parses a JSON body and answers it, as the least that a JSON service does.
fn echo(address: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let answer = |axum::Json(body): axum::Json<serde_json::Value>| async move { axum::Json(body) };
        let app = axum::Router::new().route("/echo", axum::routing::post(answer));
        let listener = tokio::net::TcpListener::bind(address).await?;
        axum::serve(listener, app).await?;
        Ok(())
    })
}

fn request(address: SocketAddr, path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn once(address: SocketAddr, request: &[u8]) -> anyhow::Result<String> {
    let mut connection = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    connection.write_all(request)?;
    let mut buffer = vec![0; 65_536];
    let mut filled = 0;
    exchange_answer(&mut connection, &mut buffer, &mut filled)?;
    Ok(String::from_utf8_lossy(&buffer[..filled]).into_owned())
}

/// Reads one whole answer into `buffer`.
fn exchange_answer(connection: &mut TcpStream, buffer: &mut [u8], filled: &mut usize) -> anyhow::Result<()> {
    *filled = 0;
    loop {
        let read = connection.read(&mut buffer[*filled..])?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        *filled += read;
        let seen = &buffer[..*filled];
        let Some(head) = seen.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&seen[..head])?;
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if seen.len() >= head + 4 + length.context("the answer has a content-length")? {
            return Ok(());
        }
    }
}

/// Keeps `connections` busy for `seconds`.
fn load(address: SocketAddr, request: &[u8], pid: u32, seconds: u64, connections: usize) -> anyhow::Result<Load> {
    let stop = AtomicBool::new(false);
    let count = AtomicU64::new(0);
    let mut used = 0.0;
    let mut wall = 0.0;
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let workers: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    let mut connection = TcpStream::connect(address)?;
                    connection.set_nodelay(true)?;
                    let mut buffer = vec![0; 65_536];
                    let mut filled = 0;
                    while !stop.load(Ordering::Relaxed) {
                        connection.write_all(request)?;
                        exchange_answer(&mut connection, &mut buffer, &mut filled)?;
                        if !buffer.starts_with(b"HTTP/1.1 200") {
                            bail!("refused: {}", String::from_utf8_lossy(&buffer[..filled]));
                        }
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        // Let the caches warm before anything counts.
        std::thread::sleep(Duration::from_secs(1));
        let (before, counted, begin) = (cpu_of(pid)?, count.load(Ordering::Relaxed), Instant::now());
        std::thread::sleep(Duration::from_secs(seconds));
        wall = begin.elapsed().as_secs_f64();
        used = cpu_of(pid)? - before;
        let done = count.load(Ordering::Relaxed) - counted;
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a load thread ended"))??;
        }
        count.store(done, Ordering::Relaxed);
        Ok(())
    })?;
    let done = count.load(Ordering::Relaxed) as f64;
    Ok(Load { per_second: done / wall, cpu_micros: used * 1e6 / done })
}
