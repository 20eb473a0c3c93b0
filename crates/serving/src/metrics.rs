//! Predictions by model; rate, errors and duration of calls are counted by the server around us.

use std::sync::atomic::AtomicU64;

use gristmill_runtime::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// A model of a project.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    project: String,
    model: String,
}

/// A request that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    project: String,
    model: String,
    reason: &'static str,
}

/// The stage's metrics; clones share.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServingMetrics {
    rows: Family<ModelLabels, Counter>,
    refused: Family<RefusalLabels, Counter>,
    version: Family<ModelLabels, Gauge>,
    load_failures: Family<ModelLabels, Counter>,
    logged: Family<ModelLabels, Counter>,
    dropped: Family<ModelLabels, Counter>,
}

/// One model's metrics, looked up once.
#[derive(Debug, Clone)]
pub(crate) struct ModelMetrics {
    labels: ModelLabels,
    refused: Family<RefusalLabels, Counter>,
    /// Rows predicted.
    pub rows: Counter<u64, AtomicU64>,
    /// Rows written to the prediction log.
    pub logged: Counter<u64, AtomicU64>,
    /// Rows that the prediction log had no room for or could not write.
    pub dropped: Counter<u64, AtomicU64>,
    version: Gauge,
    load_failures: Counter<u64, AtomicU64>,
}

impl ServingMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let this = Self::default();
        metrics.register(|registry| {
            registry.register("gristmill_prediction_rows", "Rows predicted", this.rows.clone());
            let help = "Prediction requests refused, by reason";
            registry.register("gristmill_prediction_refusals", help, this.refused.clone());
            registry.register("gristmill_model_version", "Version that is loaded, 0 for none", this.version.clone());
            let help = "Versions that could not be loaded";
            registry.register("gristmill_model_load_failures", help, this.load_failures.clone());
            registry.register("gristmill_prediction_log_rows", "Rows written to the log", this.logged.clone());
            let help = "Rows the prediction log dropped";
            registry.register("gristmill_prediction_log_dropped", help, this.dropped.clone());
        });
        this
    }

    /// The metrics of one model.
    pub(crate) fn of(&self, project: &str, model: &str) -> ModelMetrics {
        let labels = ModelLabels { project: project.to_owned(), model: model.to_owned() };
        ModelMetrics {
            rows: self.rows.get_or_create_owned(&labels),
            logged: self.logged.get_or_create_owned(&labels),
            dropped: self.dropped.get_or_create_owned(&labels),
            version: self.version.get_or_create_owned(&labels),
            load_failures: self.load_failures.get_or_create_owned(&labels),
            refused: self.refused.clone(),
            labels,
        }
    }
}

impl ModelMetrics {
    /// A request was refused.
    pub(crate) fn refused(&self, reason: &'static str) {
        let ModelLabels { project, model } = self.labels.clone();
        self.refused.get_or_create(&RefusalLabels { project, model, reason }).inc();
    }

    /// This version is served now; 0 for none.
    pub(crate) fn serves(&self, version: u32) {
        self.version.set(i64::from(version));
    }

    /// A version could not be loaded.
    pub(crate) fn load_failed(&self) {
        self.load_failures.inc();
    }
}
