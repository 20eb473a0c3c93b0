//! Starts the child, listens to it, and ends it.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{ANSWER, Answer, MARKER, OVER_MEMORY, PROGRESS, Program};
use crate::report::Report;
use crate::run::Job;
use crate::{Bounds, Error};

/// Bytes of the child's standard error that are looked at.
const COMPLAINT: usize = 64 << 10;

/// What an integration gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The account of it; equal jobs give equal ones.
    pub report: Report,
    /// What was measured.
    pub observed: Observed,
}

/// Measured on this run; never part of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Observed {
    /// Wall time in milliseconds, starting the process included.
    pub millis: u64,
    /// User and system time of the child in milliseconds.
    pub cpu_millis: u64,
    /// Most resident memory of the child in bytes.
    pub peak_bytes: u64,
}

/// Runs `job` in a child process. The directory of `job.output` must exist and be for this job alone.
/// `progress` is told what the child does. When `cancelled` ends first, the child is killed at once.
///
/// # Errors
/// Whatever is wrong with sources, SQL or joins; [`Error::Memory`], [`Error::Timeout`],
/// [`Error::Cancelled`]; [`Error::Child`] if the child dies of something else.
pub async fn integrate(
    job: &Job,
    program: &Program,
    mut progress: impl FnMut(&str),
    cancelled: impl Future<Output = ()>,
) -> Result<Outcome, Error> {
    job.check()?;
    let started = tokio::time::Instant::now();
    let mut child = start(program, &job.bounds)?;
    let mut line = serde_json::to_vec(job).map_err(|error| Error::Child { detail: error.to_string() })?;
    line.push(b'\n');
    // Kept open: the child ends when it closes.
    let mut stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let complaint = tokio::spawn(tail(child.stderr.take()));
    if let Some(stdin) = stdin.as_mut() {
        // A child that died early says why by its status.
        let _ = stdin.write_all(&line).await;
        let _ = stdin.flush().await;
    }
    let status = tokio::select! {
        status = listen(&mut child, stdout, &mut progress) => status.map_err(died)?,
        () = cancelled => return end(child, Error::Cancelled).await,
        () = tokio::time::sleep(Duration::from_secs(job.bounds.wall_seconds)) => {
            return end(child, Error::Timeout { seconds: job.bounds.wall_seconds }).await;
        }
    };
    drop(stdin);
    let complaint = complaint.await.unwrap_or_default();
    let Answer { result, cpu_millis, peak_bytes } = answer(job, status, &complaint)?;
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Outcome { report: result?, observed: Observed { millis, cpu_millis, peak_bytes } })
}

fn died(error: std::io::Error) -> Error {
    Error::Child { detail: error.kind().to_string() }
}

fn start(program: &Program, bounds: &Bounds) -> Result<Child, Error> {
    let path = match &program.path {
        Some(path) => path.clone(),
        None => std::env::current_exe().map_err(died)?,
    };
    // The parent's environment may hold secrets; the child needs none of it.
    Command::new(path)
        .args(&program.args)
        .env_clear()
        .env(MARKER, "1")
        .env("POLARS_MAX_THREADS", bounds.threads.max(1).to_string())
        .env("RAYON_NUM_THREADS", bounds.threads.max(1).to_string())
        // Memory arenas per thread would be reserved against the bound.
        .env("MALLOC_ARENA_MAX", "2")
        // A short life: pages that were freed are used again sooner than the system could.
        .env("MIMALLOC_PURGE_DELAY", "-1")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(died)
}

/// Passes progress on until the child ends.
async fn listen(
    child: &mut Child,
    stdout: Option<impl AsyncRead + Unpin>,
    progress: &mut impl FnMut(&str),
) -> std::io::Result<ExitStatus> {
    if let Some(stdout) = stdout {
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some(phase) = line.strip_prefix(PROGRESS) {
                progress(phase);
            }
        }
    }
    child.wait().await
}

/// The last bytes of a stream, read to its end so that the writer never blocks.
async fn tail(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut kept: Vec<u8> = Vec::new();
    let mut piece = vec![0; 8 << 10];
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        kept.extend_from_slice(piece.get(..count).unwrap_or_default());
        let surplus = kept.len().saturating_sub(COMPLAINT);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

async fn end(mut child: Child, error: Error) -> Result<Outcome, Error> {
    child.kill().await.map_err(died)?;
    Err(error)
}

fn answer(job: &Job, status: ExitStatus, complaint: &str) -> Result<Answer, Error> {
    let beside = job.output.parent().unwrap_or(Path::new("."));
    let out_of_memory = complaint.contains(OVER_MEMORY)
        || complaint.contains("memory allocation of")
        || complaint.contains("capacity overflow");
    if !status.success() || out_of_memory {
        if out_of_memory {
            return Err(Error::Memory { mebibytes: job.bounds.memory_bytes >> 20 });
        }
        tracing::warn!(%status, complaint = crate::error::first_line(complaint), "integration child died");
        return Err(Error::Child { detail: status.to_string() });
    }
    let bytes = std::fs::read(beside.join(ANSWER)).map_err(died)?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Child { detail: error.to_string() })
}
