//! REST: JSON rows, and the Open Inference Protocol v2.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use gristmill_rpc::error::Problem;
use gristmill_rpc::{Caller, Services};
use gristmill_types::{Limits, Permission, Project};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::ServingError;
use crate::deployed::Deployed;
use crate::inference;
use crate::models::Models;
use crate::rows::Rows;
use crate::tensor::{self, Request};

/// Header (and gRPC metadata) that names the project; without it, the default one.
pub(crate) const PROJECT: &str = "gristmill-project";
/// Bodies above this are worked on beside the reactor.
const INLINE_BYTES: usize = 64 << 10;

type App = State<Arc<Models>>;

/// Every path of the stage.
pub(crate) fn routes(models: &Arc<Models>) -> Services {
    use Permission as P;
    let app = || Arc::clone(models);
    let limit = || DefaultBodyLimit::max(Limits::DEFAULT.request_bytes);
    let live = || async { json_body(r#"{"live":true}"#) };
    let ready = || async { json_body(r#"{"ready":true}"#) };
    Services::new()
        .route("/v2/health/live", get(live), P::Public)
        .route("/v2/health/ready", get(ready), P::Public)
        .route("/v2", get(server_metadata), P::Public)
        .route("/v2/models/{name}", get(metadata).with_state(app()), P::Read)
        .route("/v2/models/{name}/versions/{version}", get(metadata_of).with_state(app()), P::Read)
        .route("/v2/models/{name}/ready", get(model_ready).with_state(app()), P::Read)
        .route("/v2/models/{name}/versions/{version}/ready", get(model_ready_of).with_state(app()), P::Read)
        .route("/v2/models/{name}/infer", post(infer).layer(limit()).with_state(app()), P::Predict)
        .route(
            "/v2/models/{name}/versions/{version}/infer",
            post(infer_of).layer(limit()).with_state(app()),
            P::Predict,
        )
        .route("/v1/models", get(list).with_state(app()), P::Read)
        .route("/v1/models/{name}", post(predict).layer(limit()).with_state(app()), P::Predict)
        .route("/v1/models/{name}/file", get(file).with_state(app()), P::Read)
}

fn json_body(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn value(value: &Value) -> Response {
    json_body(value.to_string())
}

/// The project a request is about, if its caller may.
fn project(caller: &Caller, headers: &HeaderMap) -> Result<Project, Problem> {
    let named = headers.get(PROJECT).map(|name| name.to_str());
    let named = named.transpose().map_err(|_| Problem::invalid("INVALID_PROJECT", "the project header is no name"))?;
    caller.project(named.unwrap_or_default())
}

/// A body within the limit.
fn body(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            ServingError::Limit { what: "bytes", limit: Limits::DEFAULT.request_bytes }.into()
        } else {
            Problem::invalid("INVALID_REQUEST", "the body did not arrive whole: send it again")
        }
    })
}

/// Works here if it is little, beside the reactor if it is much.
pub(crate) async fn work<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> Result<T, ServingError> + Send + 'static,
) -> Result<T, ServingError> {
    if size <= INLINE_BYTES {
        work()
    } else {
        tokio::task::spawn_blocking(work).await.map_err(|_| ServingError::Thread)?
    }
}

/// Counts a refusal and makes it the caller's.
fn refuse(deployed: &Deployed, error: ServingError) -> Problem {
    deployed.metrics.refused(error.reason());
    error.into()
}

/// `POST /v1/models/{name}:predict`.
async fn predict(
    State(models): App,
    Extension(caller): Extension<Caller>,
    Path(call): Path<String>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let Some(name) = call.strip_suffix(":predict") else {
        return Err(Problem::not_found("UNKNOWN_PATH", "there is no such path: write /v1/models/NAME:predict"));
    };
    let deployed = models.get(&project(&caller, &headers)?, name)?;
    let bytes = body(bytes)?;
    let at = models.clock().now();
    let of = Arc::clone(&deployed);
    let answer = work(bytes.len(), move || of.answer(&Rows::read(&bytes, of.model.signature())?, at)).await;
    Ok(json_body(answer.map_err(|error| refuse(&deployed, error))?))
}

async fn infer(
    app: App,
    caller: Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    infer_of(app, caller, Path((name, String::new())), headers, bytes).await
}

async fn infer_of(
    State(models): App,
    Extension(caller): Extension<Caller>,
    Path((name, version)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let deployed = models.get_version(&project(&caller, &headers)?, &name, &version)?;
    let bytes = body(bytes)?;
    let at = models.clock().now();
    let of = Arc::clone(&deployed);
    let answer = work(bytes.len(), move || {
        let request = Request::read(&bytes)?;
        tensor::outputs(&request.outputs, of.task())?;
        let table = tensor::table(&request.tensors, of.model.signature())?;
        let (predictions, first) = of.predict_table(&table, at)?;
        tensor::write_answer(&of, &request, &predictions, first)
    });
    Ok(json_body(answer.await.map_err(|error| refuse(&deployed, error))?))
}

async fn server_metadata() -> Response {
    value(&json!({"name": inference::SERVER, "version": env!("CARGO_PKG_VERSION"), "extensions": []}))
}

async fn metadata(
    app: App,
    caller: Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    metadata_of(app, caller, Path((name, String::new())), headers).await
}

async fn metadata_of(
    State(models): App,
    Extension(caller): Extension<Caller>,
    Path((name, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let deployed = models.get_version(&project(&caller, &headers)?, &name, &version)?;
    let tensors = |tensors: Vec<gristmill_proto::inference::model_metadata_response::TensorMetadata>| {
        let one = |tensor: &gristmill_proto::inference::model_metadata_response::TensorMetadata| json!({"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape});
        tensors.iter().map(one).collect::<Value>()
    };
    let message = inference::metadata(&deployed);
    Ok(value(&json!({
        "name": message.name,
        "versions": message.versions,
        "platform": message.platform,
        "inputs": tensors(message.inputs),
        "outputs": tensors(message.outputs),
    })))
}

async fn model_ready(
    app: App,
    caller: Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    model_ready_of(app, caller, Path((name, String::new())), headers).await
}

async fn model_ready_of(
    State(models): App,
    Extension(caller): Extension<Caller>,
    Path((name, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let deployed = models.get_version(&project(&caller, &headers)?, &name, &version)?;
    Ok(value(&json!({"name": deployed.name, "ready": true})))
}

/// `GET /v1/models`: what is served, with the columns that rows need.
async fn list(
    State(models): App,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let names = models.list(&project(&caller, &headers)?);
    let entries = names.iter().map(|(name, entry)| {
        let deployed = entry.deployed.as_deref();
        let inputs = deployed.map(|deployed| {
            let inputs = deployed.model.signature().inputs().iter();
            let input =
                inputs.map(|i| json!({"name": i.name, "type": i.column_type.to_string(), "nullable": i.nullable}));
            input.collect::<Value>()
        });
        json!({
            "name": name,
            "version": deployed.map(|deployed| deployed.version),
            "ready": deployed.is_some(),
            "error": entry.error,
            "model": deployed.map(|deployed| deployed.artifact.to_string()),
            "file_digest": deployed.map(|deployed| deployed.model.digest().to_string()),
            "labels": deployed.map(|deployed| deployed.model.labels()),
            "inputs": inputs,
        })
    });
    Ok(value(&json!({"models": entries.collect::<Value>()})))
}

/// `GET /v1/models/{name}/file`: the model file as it is in the store.
async fn file(
    State(models): App,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let deployed = models.get(&project(&caller, &headers)?, &name)?;
    let digest = format!("\"{}\"", deployed.model.digest());
    let mut response = deployed.file.clone().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Ok(digest) = HeaderValue::from_str(&digest) {
        headers.insert(header::ETAG, digest);
    }
    Ok(response)
}
