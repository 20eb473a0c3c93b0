//! What happens in the child.

use std::io::{BufRead, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{ANSWER, Answer, MARKER, OVER_MEMORY, PROGRESS};
use crate::run::Job;
use crate::{Bounds, Error};

/// How often the child looks at its own memory.
const WATCH: Duration = Duration::from_millis(20);

/// Does the work and ends the process if this process was started as a child; otherwise returns.
/// Every binary that integrates calls it first in `main`, before it starts any thread.
pub fn main_if_child() {
    if std::env::var_os(MARKER).is_none() {
        return;
    }
    let code = work().map_or(1, |()| 0);
    std::process::exit(code);
}

fn work() -> std::io::Result<()> {
    let mut input = std::io::stdin().lock();
    let mut line = String::new();
    input.read_line(&mut line)?;
    drop(input);
    let job: Job = serde_json::from_str(&line)?;
    bound_memory(&job.bounds);
    std::thread::Builder::new().name("parent".into()).spawn(end_with_parent)?;
    let limit = job.bounds.memory_bytes;
    std::thread::Builder::new().name("memory".into()).spawn(move || watch_memory(limit))?;
    let progress = |phase: &str| {
        let mut out = std::io::stdout().lock();
        // A parent that no longer listens ends this process by other means.
        let _ = writeln!(out, "\n{PROGRESS}{phase}").and_then(|()| out.flush());
    };
    let ran = catch_unwind(AssertUnwindSafe(|| crate::run::run(&job, &progress)));
    let result = ran.unwrap_or_else(|_| Err(Error::Engine { detail: "it stopped at a defect of its own".into() }));
    let used = gristmill_runtime::metrics::usage();
    let answer = Answer { result, cpu_millis: (used.cpu_seconds * 1e3) as u64, peak_bytes: used.peak_bytes };
    let beside = job.output.parent().unwrap_or(Path::new("."));
    let bytes = serde_json::to_vec(&answer)?;
    std::fs::write(beside.join(ANSWER), bytes)
}

/// Standard input stays open as long as the parent lives.
fn end_with_parent() {
    let mut rest = Vec::new();
    let _ = std::io::stdin().lock().read_to_end(&mut rest);
    std::process::exit(1);
}

/// The kernel's bound: private writable memory. It is wider than the watched one, because it counts
/// what is reserved; it catches a single allocation that is too fast to be watched.
fn bound_memory(bounds: &Bounds) {
    let wide = bounds.memory_bytes.saturating_add(bounds.memory_bytes / 4).saturating_add(512 << 20);
    let hard = getrlimit(Resource::Data).maximum;
    let current = hard.map_or(wide, |hard| hard.min(wide));
    // Without it the watch remains.
    let _ = setrlimit(Resource::Data, Rlimit { current: Some(current), maximum: hard });
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// The exact bound: resident memory.
fn watch_memory(limit: u64) {
    loop {
        if gristmill_runtime::metrics::usage().resident_bytes > limit {
            let _ = writeln!(std::io::stderr(), "\n{OVER_MEMORY}");
            std::process::exit(1);
        }
        std::thread::sleep(WATCH);
    }
}
