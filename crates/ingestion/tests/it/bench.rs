//! A started stage and sources for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_frame::Bounds;
use gristmill_frame::child::Program;
use gristmill_ingestion::{Settings, open_with};
use gristmill_jobs::Ledger;
use gristmill_proto::ingestion::ingestion_service_client::IngestionServiceClient;
use gristmill_proto::ingestion::{
    CreateIngestionJobRequest, Derive, DerivedColumn, GetIngestionJobRequest, IngestionJob, IngestionSpec, Integration,
    IntegrationStep, JoinKey, Source, integration_step, source,
};
use gristmill_proto::job::JobState;
use gristmill_proto::table::Field;
use gristmill_rpc::Channel;
use gristmill_rpc::channel::LocalRoutes;
use gristmill_testkit::{Sandbox, Started};
use gristmill_types::{ArtifactKind, ArtifactRef, Project};
use tonic::Status;

pub struct Bench {
    pub sandbox: Sandbox,
    pub started: Started,
    pub ledger: Arc<dyn Ledger>,
}

/// A file of the flights example.
pub fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights/data").join(file)
}

impl Bench {
    pub async fn new() -> Self {
        let sandbox = Sandbox::new().await;
        let roots = vec![sandbox.folder().join("allowed")];
        std::fs::create_dir(&roots[0]).unwrap();
        let bounds = Bounds { memory_bytes: 2 << 30, threads: 2, ..Bounds::default() };
        let settings =
            Settings { roots, bounds, program: Program::test_harness("ingestion_child"), ..Settings::default() };
        let routes = LocalRoutes::new();
        let stage = open_with(&sandbox.deps, settings).await.unwrap();
        let ledger = Arc::clone(&stage.ledger);
        let started = sandbox.start(&routes, [stage]).await;
        Self { sandbox, started, ledger }
    }

    pub fn client(&self) -> IngestionServiceClient<Channel> {
        IngestionServiceClient::new(self.started.channel.clone())
    }

    /// A source artifact with this text.
    pub async fn csv(&self, name: &str, text: &str) -> Source {
        self.source(name, "data.csv", text.as_bytes().to_vec()).await
    }

    /// A source artifact with a file of the example.
    pub async fn flights_file(&self, name: &str, file: &str) -> Source {
        self.source(name, file, std::fs::read(example(file)).unwrap()).await
    }

    async fn source(&self, name: &str, file: &str, bytes: Vec<u8>) -> Source {
        let artifact = gristmill_testkit::put(&self.sandbox.store(), ArtifactKind::Source, [], [(file, bytes)]).await;
        Source {
            name: name.into(),
            location: Some(source::Location::Artifact(artifact.into())),
            display_name: file.into(),
            ..Source::default()
        }
    }

    pub async fn create(&self, spec: IngestionSpec) -> Result<IngestionJob, Status> {
        let request = CreateIngestionJobRequest { spec: Some(spec), ..Default::default() };
        Ok(self.client().create_ingestion_job(request).await?.into_inner().job.unwrap())
    }

    /// Submits and waits for the end.
    pub async fn run(&self, spec: IngestionSpec) -> IngestionJob {
        let job = self.create(spec).await.unwrap();
        let id = job.job.unwrap().id;
        self.ledger.finished(&Project::default(), id.parse().unwrap()).await.unwrap();
        self.get(id).await
    }

    pub async fn get(&self, id: String) -> IngestionJob {
        let request = GetIngestionJobRequest { id, ..Default::default() };
        self.client().get_ingestion_job(request).await.unwrap().into_inner().job.unwrap()
    }

    /// Reason and message of a job that must fail, or of a request that must be refused.
    pub async fn refusal(&self, spec: IngestionSpec) -> (String, String) {
        match self.create(spec).await {
            Err(status) => ("REQUEST".into(), status.message().to_owned()),
            Ok(job) => {
                let id = job.job.unwrap().id;
                self.ledger.finished(&Project::default(), id.parse().unwrap()).await.unwrap();
                let job = self.get(id).await.job.unwrap();
                assert_eq!(job.state(), JobState::Failed);
                let error = job.error.unwrap();
                (error.reason, error.message)
            }
        }
    }

    pub async fn part(&self, artifact: Option<&gristmill_proto::artifact::ArtifactRef>, name: &str) -> Vec<u8> {
        let artifact = ArtifactRef::try_from(artifact.unwrap()).unwrap();
        let artifact = self.sandbox.store().open(&artifact).await.unwrap();
        artifact.part(name).unwrap().bytes().await.unwrap().to_vec()
    }
}

pub fn spec(sources: Vec<Source>, integration: Integration) -> IngestionSpec {
    IngestionSpec { sources, integration: Some(integration), ..Default::default() }
}

pub fn column(name: &str, column_type: &str) -> Field {
    Field { name: name.into(), r#type: column_type.into() }
}

pub fn step(step: integration_step::Step) -> IntegrationStep {
    IntegrationStep { step: Some(step) }
}

pub fn sql(query: &str) -> IntegrationStep {
    step(integration_step::Step::Sql(query.into()))
}

pub fn derive(name: &str, expression: &str) -> IntegrationStep {
    let column = DerivedColumn { name: name.into(), expression: expression.into() };
    step(integration_step::Step::Derive(Derive { columns: vec![column] }))
}

pub fn on(left: &str, right: &str) -> Vec<JoinKey> {
    vec![JoinKey { left: left.into(), right: right.into() }]
}
