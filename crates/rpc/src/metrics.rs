//! Rate, errors and duration of calls, under OpenTelemetry's names.

use std::time::Duration;

use gristmill_runtime::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

/// Bounds in seconds: those OpenTelemetry advises, and finer ones below for predictions.
const BOUNDS: [f64; 17] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The name that stands for every path that is not ours, so that callers cannot invent label values.
pub(crate) const OTHER: &str = "_OTHER";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RpcLabels {
    rpc_system_name: &'static str,
    rpc_method: &'static str,
    rpc_response_status_code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HttpLabels {
    http_request_method: &'static str,
    http_route: &'static str,
    http_response_status_code: u32,
}

type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// The metrics of one server.
#[derive(Debug, Clone)]
pub(crate) struct CallMetrics {
    rpc: Durations<RpcLabels>,
    http: Durations<HttpLabels>,
    active: Gauge,
}

fn histogram() -> Histogram {
    Histogram::new(BOUNDS)
}

impl CallMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let this = Self {
            rpc: Family::new_with_constructor(histogram),
            http: Family::new_with_constructor(histogram),
            active: Gauge::default(),
        };
        metrics.register(|registry| {
            let (rpc, http) = (this.rpc.clone(), this.http.clone());
            registry.register_with_unit("rpc_server_call_duration", "Duration of gRPC calls", Unit::Seconds, rpc);
            let help = "Duration of HTTP requests";
            registry.register_with_unit("http_server_request_duration", help, Unit::Seconds, http);
            registry.register("rpc_server_active_requests", "Calls under way", this.active.clone());
        });
        this
    }

    pub(crate) fn started(&self) {
        self.active.inc();
    }

    pub(crate) fn ended(&self) {
        self.active.dec();
    }

    pub(crate) fn rpc(&self, method: &'static str, code: tonic::Code, took: Duration) {
        let labels =
            RpcLabels { rpc_system_name: "grpc", rpc_method: method, rpc_response_status_code: code_name(code) };
        self.rpc.get_or_create(&labels).observe(took.as_secs_f64());
    }

    pub(crate) fn http(&self, method: &::http::Method, route: &'static str, status: u16, took: Duration) {
        let labels = HttpLabels {
            http_request_method: method_name(method),
            http_route: route,
            http_response_status_code: u32::from(status),
        };
        self.http.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

fn method_name(method: &::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => OTHER,
    }
}

/// The code's name in gRPC's own spelling.
pub(crate) const fn code_name(code: tonic::Code) -> &'static str {
    use tonic::Code as C;
    match code {
        C::Ok => "OK",
        C::Cancelled => "CANCELLED",
        C::Unknown => "UNKNOWN",
        C::InvalidArgument => "INVALID_ARGUMENT",
        C::DeadlineExceeded => "DEADLINE_EXCEEDED",
        C::NotFound => "NOT_FOUND",
        C::AlreadyExists => "ALREADY_EXISTS",
        C::PermissionDenied => "PERMISSION_DENIED",
        C::ResourceExhausted => "RESOURCE_EXHAUSTED",
        C::FailedPrecondition => "FAILED_PRECONDITION",
        C::Aborted => "ABORTED",
        C::OutOfRange => "OUT_OF_RANGE",
        C::Unimplemented => "UNIMPLEMENTED",
        C::Internal => "INTERNAL",
        C::Unavailable => "UNAVAILABLE",
        C::DataLoss => "DATA_LOSS",
        C::Unauthenticated => "UNAUTHENTICATED",
    }
}
