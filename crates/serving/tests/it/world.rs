//! Serving behind a real server, with models of known coefficients.

use std::net::SocketAddr;
use std::sync::Arc;

use gristmill_jobs::{Ledger, Running};
use gristmill_model::{Model, file, proto};
use gristmill_proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use gristmill_proto::registry::registry_service_server::RegistryServiceServer;
use gristmill_proto::serving::Deployment;
use gristmill_proto::serving::ListDeploymentsRequest;
use gristmill_proto::serving::prediction_service_client::PredictionServiceClient;
use gristmill_proto::serving::serving_service_client::ServingServiceClient;
use gristmill_rpc::channel::LocalRoutes;
use gristmill_rpc::{Auth, Channel, Server, ServerConfig, Surface};
use gristmill_serving::{Serving, ServingConfig};
use gristmill_testkit::Sandbox;
use gristmill_types::{ArtifactKind, ArtifactRef, Column, Columns, Values};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::registry::Registry;

pub struct World {
    pub sandbox: Sandbox,
    pub registry: Arc<Registry>,
    pub channel: Channel,
    pub ledger: Arc<dyn Ledger>,
    pub serving: Serving,
    address: SocketAddr,
    _workers: Running,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Sandbox::new().await, Arc::default(), &ServingConfig::default()).await
    }

    pub async fn with(sandbox: Sandbox, registry: Arc<Registry>, config: &ServingConfig) -> Self {
        let routes = LocalRoutes::new();
        let (stage, serving) = gristmill_serving::open(&sandbox.deps, config, routes.channel("serving")).await.unwrap();
        let services = stage.services.add(RegistryServiceServer::from_arc(Arc::clone(&registry)));
        let config = ServerConfig::default();
        let server = Server::build(services, Auth::LoopbackOnly, &config, &sandbox.deps.process).await.unwrap();
        let server = Arc::new(server);
        assert!(routes.open(&server));
        let listener = server.listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { server.serve(listener, Surface::Both).await });
        let workers = stage.workers.start();
        let channel = routes.channel("test");
        Self { sandbox, registry, channel, ledger: stage.ledger, serving, address, _workers: workers }
    }

    /// Stores and registers a model whose `x` has this coefficient.
    pub async fn register(&self, name: &str, coefficient: f64) -> u32 {
        let artifact = self.store(message(coefficient)).await;
        self.registry.register(name, artifact)
    }

    pub async fn store(&self, message: proto::Model) -> ArtifactRef {
        let parts = [("model.gmm", file::write(&message)), ("model.json", b"{}".to_vec())];
        gristmill_testkit::put(&self.sandbox.store(), ArtifactKind::Model, [], parts).await
    }

    /// A world that serves version 1 of `taxi`.
    pub async fn serving_taxi() -> Self {
        let world = Self::new().await;
        let version = world.register("taxi", 1.5).await;
        world.registry.set("taxi", "champion", version);
        world.until(|taxi| taxi.is_some_and(|taxi| taxi.ready)).await;
        world
    }

    pub fn deployments(&self) -> ServingServiceClient<Channel> {
        ServingServiceClient::new(self.channel.clone())
    }

    pub fn inference(&self) -> GrpcInferenceServiceClient<Channel> {
        GrpcInferenceServiceClient::new(self.channel.clone())
    }

    pub fn predictions(&self) -> PredictionServiceClient<Channel> {
        PredictionServiceClient::new(self.channel.clone())
    }

    /// Waits until the deployment of `taxi` is as `wanted` says.
    pub async fn until(&self, wanted: impl Fn(Option<&Deployment>) -> bool) -> Option<Deployment> {
        let looking = async {
            loop {
                let request = ListDeploymentsRequest::default();
                let all = self.deployments().list_deployments(request).await.unwrap().into_inner().deployments;
                let taxi = all.into_iter().find(|deployment| deployment.name == "taxi");
                if wanted(taxi.as_ref()) {
                    return taxi;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), looking).await.expect("the deployment changes in time")
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.call("GET", path, "", "").await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    pub async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let (status, body) = self.call("POST", path, "", body).await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// One HTTP/1.1 request on a connection of its own; `headers` are whole lines.
    pub async fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, Vec<u8>) {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses a body need not read it.
        let _ = connection.write_all(body.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("an answer");
        let head = std::str::from_utf8(&answer[..end]).unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), answer[end + 4..].to_vec())
    }
}

/// A binary model: x (float), n (int), city (text), price (decimal), at (timestamp), the last three nullable.
pub fn message(coefficient: f64) -> proto::Model {
    use proto::numeric_step::Step;
    let input = |name: &str, column_type: &str, nullable| proto::InputColumn {
        name: name.into(),
        r#type: column_type.into(),
        nullable,
        ..proto::InputColumn::default()
    };
    let number = |input| Step::Number(proto::NumberInput { input });
    let hour = Step::DatePart(proto::DatePart { input: 4, part: proto::date_part::Part::Hour.into(), zone: 0 });
    let steps = [number(0), number(1), number(3), hour];
    let term = |slot, coefficient| proto::LinearTerm { slot, coefficient: vec![coefficient] };
    let mut message = proto::Model {
        format_version: 1,
        signature: Some(proto::Signature {
            inputs: vec![
                input("x", "float", false),
                input("n", "int", false),
                input("city", "text", true),
                input("price", "decimal(2)", true),
                input("at", "timestamp[UTC]", true),
            ],
            id_columns: vec!["ride".into()],
            target: "late".into(),
        }),
        transform: Some(proto::Transform {
            numeric: steps.into_iter().map(|step| proto::NumericStep { name: "n".into(), step: Some(step) }).collect(),
            category: vec![proto::CategoryStep {
                name: "city".into(),
                input: 2,
                values: ["Lyon", "Köln", "007"].map(str::to_owned).into(),
                hash_buckets: 0,
            }],
            ..proto::Transform::default()
        }),
        predictor: Some(proto::Predictor {
            predictor: Some(proto::predictor::Predictor::Linear(proto::Linear {
                intercept: vec![-0.25],
                terms: vec![term(0, coefficient), term(1, 0.125), term(2, 0.01), term(3, 0.02)],
                one_hot: vec![proto::OneHotTerm { category: 0, coefficient: vec![0.0, 0.1, 0.2, 0.3, 0.4] }],
            })),
        }),
        output: Some(proto::Output {
            task: proto::output::Task::Binary.into(),
            link: proto::output::Link::Logistic.into(),
            labels: vec!["false".into(), "true".into()],
            threshold: 0.5,
            calibration: None,
        }),
        ..proto::Model::default()
    };
    let model = Model::from_proto(message.clone()).unwrap();
    message.example = Some(model.example(&table(), &[0, 1]).unwrap());
    message
}

/// Two rows as a table.
pub fn table() -> Columns {
    Columns::new(vec![
        Column::float("x", [Some(0.5), Some(-1.25)]),
        Column::int("n", [Some(3), Some(0)]),
        Column::text("city", [Some("Lyon"), None]),
        Column::with_valid("price", Values::Decimal { scale: 2, unscaled: vec![1_250, 0] }, vec![true, false]),
        Column::new("at", Values::Timestamp { zone: Some("UTC".into()), micros: vec![36_000_000_000, 7_200_000_000] }),
    ])
    .unwrap()
}

/// The same rows as JSON.
pub const ROWS: &str = r#"{"rows": [
    {"x": 0.5, "n": 3, "city": "Lyon", "price": 12.50, "at": "1970-01-01T10:00:00Z", "ride": "r1"},
    {"at": "1970-01-01T04:00:00+02:00", "n": 0, "x": -1.25, "city": null}]}"#;

/// Probability of `true` per row, as the model itself says.
pub fn expected(coefficient: f64) -> Vec<f64> {
    Model::from_proto(message(coefficient)).unwrap().predict(&table()).unwrap().positive().collect()
}
