//! Log lines to standard error, spans to an OpenTelemetry collector when one is named.

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::{Deserialize, Serialize};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// The variable that names the collector, as OpenTelemetry defines it.
pub const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// How long one export may take; the queue behind it is bounded, so this bounds what is lost.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the end of the process waits for the last spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What is logged and where spans go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Filter directives, such as `info` or `warn,gristmill_jobs=debug`.
    pub log: String,
    /// The form of log lines.
    pub log_format: LogFormat,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log: "info".into(), log_format: LogFormat::Text }
    }
}

/// Telemetry that could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("log filter `{filter}`: {message}; write for example `info` or `warn,gristmill_jobs=debug`")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What was wrong.
        message: String,
    },
    /// A subscriber is already installed in this process.
    #[error("telemetry is already set up in this process")]
    Twice,
}

/// Keeps telemetry alive; dropping it sends the last spans, for at most two seconds.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    /// Why spans are not exported although a collector was named.
    refused: Option<String>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            // A collector that is down must not keep the process from ending, nor fail it.
            let _unsent = provider.shutdown_with_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Sets up telemetry for the whole process: what [`build`] makes, installed.
///
/// # Errors
/// The filter does not parse, or telemetry was set up before.
pub fn init(
    service: &'static str,
    config: &TelemetryConfig,
    endpoint: Option<&str>,
) -> Result<Telemetry, TelemetryError> {
    let (dispatch, telemetry) = build(service, config, endpoint)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(|_| TelemetryError::Twice)?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    if let Some(message) = &telemetry.refused {
        tracing::warn!(%message, "spans are not exported");
    }
    Ok(telemetry)
}

/// Makes a subscriber that writes log lines and, when `endpoint` names a collector, exports spans.
/// Must run inside the tokio runtime when there is an endpoint. An endpoint that is wrong or down
/// costs spans, never a request nor the start of the process.
///
/// # Errors
/// The filter does not parse.
pub fn build(
    service: &'static str,
    config: &TelemetryConfig,
    endpoint: Option<&str>,
) -> Result<(Dispatch, Telemetry), TelemetryError> {
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|error| TelemetryError::Filter { filter: config.log.clone(), message: error.to_string() })?;
    // Colours only where somebody looks, as https://no-color.org asks.
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.log_format {
        LogFormat::Text => lines.with_target(true).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    let (provider, refused) = match endpoint.map(|endpoint| provider(service, endpoint)) {
        None => (None, None),
        Some(Ok(provider)) => (Some(provider), None),
        Some(Err(message)) => (None, Some(message)),
    };
    // Only our own spans: the exporter's transport would otherwise report on itself without end.
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(service))
            .with_filter(tracing_subscriber::filter::filter_fn(|about| about.target().starts_with("gristmill")))
    });
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(lines).with(spans));
    Ok((dispatch, Telemetry { provider, refused }))
}

fn provider(service: &'static str, endpoint: &str) -> Result<SdkTracerProvider, String> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name(service).build())
        .build())
}
