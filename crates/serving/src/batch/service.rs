//! The gRPC face of batch prediction: checks, records, answers (I5).

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_frame::{CsvOptions, FileFormat};
use gristmill_proto::serving::prediction_service_server::PredictionService;
use gristmill_proto::serving::{
    CancelPredictionJobRequest, CancelPredictionJobResponse, CreatePredictionJobRequest, CreatePredictionJobResponse,
    GetPredictionJobRequest, GetPredictionJobResponse, ListPredictionJobsRequest, ListPredictionJobsResponse,
    PredictionJob, PredictionResult, PredictionSpec, WatchPredictionJobRequest, WatchPredictionJobResponse,
};
use gristmill_proto::table;
use gristmill_rpc::Caller;
use gristmill_rpc::error::Problem;
use gristmill_stage::{Entry, JobStage, JobVerbs};
use gristmill_types::{ArtifactKind, ArtifactRef};
use tonic::{Request, Response, Status};

use super::InputFormat;
use crate::stage::LOGIC_VERSION;

/// What prediction jobs are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prediction;

/// A checked spec.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub model: ArtifactRef,
    pub input: ArtifactRef,
    pub format: InputFormat,
    pub output: OutputFormat,
}

/// How predictions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    Parquet,
    Csv,
}

impl OutputFormat {
    /// The part's name.
    pub(crate) const fn part(self) -> &'static str {
        match self {
            Self::Parquet => "rows.parquet",
            Self::Csv => "rows.csv",
        }
    }
}

impl JobStage for Prediction {
    const STAGE: &'static str = "serving";
    const KIND: &'static str = "prediction";
    const LOGIC_VERSION: u32 = LOGIC_VERSION;
    type Spec = PredictionSpec;
    type Result = PredictionResult;

    fn check(&self, spec: &PredictionSpec) -> Result<(), Problem> {
        Checked::of(spec).map(drop)
    }
}

impl Checked {
    pub(crate) fn of(spec: &PredictionSpec) -> Result<Self, Problem> {
        let model = artifact("model", spec.model.as_ref(), &[ArtifactKind::Model])?;
        let input = artifact("input", spec.input.as_ref(), &[ArtifactKind::Source, ArtifactKind::Dataset])?;
        let format = match spec.input_format() {
            table::FileFormat::Unspecified | table::FileFormat::Auto => FileFormat::Auto,
            table::FileFormat::Csv => FileFormat::Csv,
            table::FileFormat::Parquet => FileFormat::Parquet,
        };
        let output = match spec.output_format() {
            table::FileFormat::Csv => OutputFormat::Csv,
            _ => OutputFormat::Parquet,
        };
        Ok(Self { model, input, format: InputFormat { format, csv: csv(spec.csv.as_ref())? }, output })
    }
}

fn artifact(
    field: &'static str,
    message: Option<&gristmill_proto::artifact::ArtifactRef>,
    kinds: &[ArtifactKind],
) -> Result<ArtifactRef, Problem> {
    let wrong = |text: String| Problem::invalid("INVALID_SPEC", format!("{field}: {text}")).violation(field, text);
    let artifact = gristmill_proto::artifact_ref(field, message).map_err(|error| wrong(error.message))?;
    if kinds.contains(&artifact.kind) {
        return Ok(artifact);
    }
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    Err(wrong(format!("is a {}, needed is a {}", artifact.kind, kinds.join(" or "))))
}

fn csv(message: Option<&table::CsvOptions>) -> Result<CsvOptions, Problem> {
    let mut options = CsvOptions::default();
    let Some(message) = message else { return Ok(options) };
    let one = |field: &'static str, text: &str| {
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) if character.is_ascii() => Ok(character),
            _ => Err(Problem::invalid("INVALID_SPEC", format!("{field} must be one ASCII character"))
                .violation(field, "one ASCII character")),
        }
    };
    if !message.delimiter.is_empty() {
        options.delimiter = one("csv.delimiter", &message.delimiter)?;
    }
    if !message.quote.is_empty() {
        options.quote = one("csv.quote", &message.quote)?;
    }
    if !message.null_values.is_empty() {
        options.null_values = message.null_values.clone();
    }
    options.header = message.header.unwrap_or(true);
    Ok(options)
}

/// The service over the stage's ledger.
#[derive(Debug)]
pub(crate) struct PredictionServer(pub JobVerbs<Prediction>);

fn job(entry: Entry<PredictionSpec, PredictionResult>) -> PredictionJob {
    PredictionJob { job: Some(entry.job), spec: Some(entry.spec), result: entry.result }
}

#[tonic::async_trait]
impl PredictionService for PredictionServer {
    async fn create_prediction_job(
        &self,
        request: Request<CreatePredictionJobRequest>,
    ) -> Result<Response<CreatePredictionJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.create(&caller, &m.project, &m.request_id, m.spec, m.fresh).await?;
        Ok(Response::new(CreatePredictionJobResponse { job: Some(job(entry)) }))
    }

    async fn get_prediction_job(
        &self,
        request: Request<GetPredictionJobRequest>,
    ) -> Result<Response<GetPredictionJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.get(&caller, &m.project, &m.id).await?;
        Ok(Response::new(GetPredictionJobResponse { job: Some(job(entry)) }))
    }

    async fn list_prediction_jobs(
        &self,
        request: Request<ListPredictionJobsRequest>,
    ) -> Result<Response<ListPredictionJobsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let (entries, next_page_token) = self.0.list(&caller, &m.project, m.page_size, &m.page_token).await?;
        let jobs = entries.into_iter().map(job).collect();
        Ok(Response::new(ListPredictionJobsResponse { jobs, next_page_token }))
    }

    type WatchPredictionJobStream = BoxStream<'static, Result<WatchPredictionJobResponse, Status>>;

    async fn watch_prediction_job(
        &self,
        request: Request<WatchPredictionJobRequest>,
    ) -> Result<Response<Self::WatchPredictionJobStream>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let events = self.0.watch(&caller, &m.project, &m.id, m.after_sequence).await?;
        let events = events.map(|event| event.map(|event| WatchPredictionJobResponse { event: Some(event) }));
        Ok(Response::new(events.boxed()))
    }

    async fn cancel_prediction_job(
        &self,
        request: Request<CancelPredictionJobRequest>,
    ) -> Result<Response<CancelPredictionJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.cancel(&caller, &m.project, &m.id).await?;
        Ok(Response::new(CancelPredictionJobResponse { job: Some(job(entry)) }))
    }
}
