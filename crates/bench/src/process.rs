//! Runs processes and reads what they used from `/proc`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

/// Clock ticks per second of `/proc/*/stat` on Linux.
const TICKS: f64 = 100.0;

/// The binary under test and the checkout it works on.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub binary: PathBuf,
    pub root: PathBuf,
}

/// What one run of a process took.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub wall: f64,
    pub cpu: f64,
    /// Largest resident memory of the process and its children, each alone.
    pub peak_mib: f64,
    pub stdout: String,
    pub code: Option<i32>,
}

impl Product {
    pub(crate) fn find(binary: &Path, root: &Path) -> anyhow::Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(|dir| PathBuf::from(dir).join("release/gristmill"));
        let binary = match target {
            Some(built) if built.exists() && binary == Path::new("target/release/gristmill") => built,
            _ => binary.to_path_buf(),
        };
        let binary = binary
            .canonicalize()
            .with_context(|| format!("no binary at {}: cargo build --release", binary.display()))?;
        let root = root.canonicalize()?;
        if !root.join("examples/flights/pipeline.yaml").exists() {
            bail!("{} is not a checkout of Gristmill: pass --root", root.display());
        }
        Ok(Self { binary, root })
    }

    /// `gristmill <args>` with its data in `data`.
    pub(crate) fn command(&self, data: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).current_dir(&self.root).env("GRISTMILL_DATA_DIR", data);
        command
    }

    /// Runs to the end and reads the JSON object it prints.
    pub(crate) fn json(&self, data: &Path, args: &[&str]) -> anyhow::Result<(Measured, Value)> {
        self.json_in(&self.root, data, args)
    }

    /// The same in another working directory, where `run` leaves the pipeline file of a bare CSV.
    pub(crate) fn json_in(&self, folder: &Path, data: &Path, args: &[&str]) -> anyhow::Result<(Measured, Value)> {
        let mut command = self.command(data, args);
        command.current_dir(folder);
        let measured = measure(command)?;
        let value = serde_json::from_str(&measured.stdout)
            .with_context(|| format!("gristmill {args:?} printed no JSON (exit code {:?})", measured.code))?;
        Ok((measured, value))
    }
}

/// Runs `command` to its end.
pub(crate) fn measure(mut command: Command) -> anyhow::Result<Measured> {
    let before = children_cpu()?;
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut pipe = child.stdout.take().context("standard output is piped")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).map(|_| text)
    });
    let mut peak = 0.0_f64;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        for pid in family(child.id()) {
            peak = peak.max(peak_mib(pid));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let wall = start.elapsed().as_secs_f64();
    let stdout = reader.join().map_err(|_| anyhow::anyhow!("the reader of standard output ended"))??;
    Ok(Measured { wall, cpu: children_cpu()? - before, peak_mib: peak, stdout, code: status.code() })
}

/// A process that is killed when it goes out of scope.
#[derive(Debug)]
pub(crate) struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing to be done about a process that has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// User and system seconds of a live process.
pub(crate) fn cpu_of(pid: u32) -> anyhow::Result<f64> {
    stat_fields(&format!("/proc/{pid}/stat"), 11)
}

/// User and system seconds of this process's finished children.
fn children_cpu() -> anyhow::Result<f64> {
    stat_fields("/proc/self/stat", 13)
}

fn stat_fields(path: &str, first: usize) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(path)?;
    // The command's name stands in brackets and may hold blanks.
    let rest = text.rsplit_once(')').context("stat has a name")?.1;
    let fields: Vec<f64> = rest.split_whitespace().skip(first).take(2).filter_map(|f| f.parse().ok()).collect();
    Ok(fields.iter().sum::<f64>() / TICKS)
}

/// Resident memory now, in MiB.
pub(crate) fn resident_mib(pid: u32) -> f64 {
    status_mib(pid, "VmRSS:")
}

fn peak_mib(pid: u32) -> f64 {
    status_mib(pid, "VmHWM:")
}

fn status_mib(pid: u32, field: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = text.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

fn family(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let mut all = vec![pid];
    all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    all
}

/// The middle of `values`.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The mean of `values`.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// A number under a path of keys, such as `evaluation.metrics.log_loss.value`.
pub(crate) fn number(value: &Value, path: &str) -> anyhow::Result<f64> {
    let found = path.split('.').try_fold(value, |at, key| at.get(key));
    found.and_then(Value::as_f64).with_context(|| format!("no number at `{path}`"))
}
