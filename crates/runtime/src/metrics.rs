//! The metrics registry of a process, shared by all its parts.

use std::sync::{Arc, Mutex, PoisonError};

use gristmill_types::Micros;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The unit of times in `/proc`: 100 per second on every Linux that Rust's tier 1 and 2 targets name.
const TICKS_PER_SECOND: f64 = 100.0;

/// A shared registry. Cheap to clone; clones share.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// A registry that already holds the process's own figures (memory, CPU time, start).
    pub fn new(started: Micros) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessFigures { started }));
        Self { registry: Arc::new(Mutex::new(registry)) }
    }

    /// Lets `register` add metrics; a part calls this once, when it is built.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        // A panic while registering leaves the registry usable: at worst one metric is missing.
        register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every metric in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = text::encode(&mut text, &registry) {
            tracing::error!(%error, "metrics could not be written");
        }
        text
    }
}

/// Memory, CPU time and start of this process, read when asked.
#[derive(Debug)]
struct ProcessFigures {
    started: Micros,
}

impl Collector for ProcessFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let usage = usage();
        let seconds = Some(&Unit::Seconds);
        let cpu = ConstCounter::new(usage.cpu_seconds);
        cpu.encode(encoder.encode_descriptor(
            "process_cpu",
            "User and system CPU time",
            seconds,
            cpu.metric_type(),
        )?)?;
        let started = ConstGauge::new(self.started as f64 / 1e6);
        started.encode(encoder.encode_descriptor(
            "process_start_time",
            "Start of the process since the epoch",
            seconds,
            started.metric_type(),
        )?)?;
        let resident = ConstGauge::new(usage.resident_bytes as f64);
        resident.encode(encoder.encode_descriptor(
            "process_resident_memory",
            "Resident memory",
            Some(&Unit::Bytes),
            resident.metric_type(),
        )?)
    }
}

/// What this process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Resident memory, bytes; 0 where the system does not say.
    pub resident_bytes: u64,
    /// Highest resident memory so far, bytes; 0 where the system does not say.
    pub peak_bytes: u64,
    /// User and system CPU time, seconds.
    pub cpu_seconds: f64,
}

/// Reads the process's use of memory and CPU.
pub fn usage() -> Usage {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse::<u64>().ok())
            .unwrap_or(0)
    };
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in brackets, may hold spaces: fields are counted after it. The two
    // after the eleventh are user and system time.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Usage {
        resident_bytes: kib("VmRSS") * 1024,
        peak_bytes: kib("VmHWM") * 1024,
        cpu_seconds: ticks as f64 / TICKS_PER_SECOND,
    }
}
