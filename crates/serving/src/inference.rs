//! The Open Inference Protocol v2 over gRPC.

use std::sync::Arc;

use gristmill_model::Task;
use gristmill_proto::inference::grpc_inference_service_server::GrpcInferenceService;
use gristmill_proto::inference::model_metadata_response::TensorMetadata;
use gristmill_proto::inference::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ModelReadyResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
    ServerReadyRequest, ServerReadyResponse,
};
use gristmill_rpc::Caller;
use gristmill_rpc::error::Problem;
use gristmill_types::Project;
use prost::Message;
use tonic::{Request, Response, Status};

use crate::deployed::Deployed;
use crate::http::{PROJECT, work};
use crate::models::Models;
use crate::tensor::{self, Datatype};

/// What the server calls itself.
pub(crate) const SERVER: &str = "gristmill";

/// The service over the loaded models.
#[derive(Debug)]
pub(crate) struct Inference(pub Arc<Models>);

/// The project a request is about, if its caller may.
fn project<T>(request: &Request<T>) -> Result<Project, Problem> {
    let named = request.metadata().get(PROJECT).map(|name| name.to_str());
    let named =
        named.transpose().map_err(|_| Problem::invalid("INVALID_PROJECT", "the project metadata is no name"))?;
    Caller::of(request)?.project(named.unwrap_or_default())
}

/// Inputs and outputs of a model, as both transports answer them.
pub(crate) fn metadata(deployed: &Deployed) -> ModelMetadataResponse {
    let tensor = |name: &str, datatype: Datatype, shape: Vec<i64>| TensorMetadata {
        name: name.into(),
        datatype: datatype.as_str().into(),
        shape,
    };
    let inputs = deployed.model.signature().inputs().iter();
    let prediction = if deployed.task() == Task::Regression { Datatype::Fp64 } else { Datatype::Bytes };
    let mut outputs = vec![tensor("prediction", prediction, vec![-1])];
    if deployed.task() != Task::Regression {
        let labels = i64::try_from(deployed.model.labels().len()).unwrap_or(i64::MAX);
        outputs.push(tensor("probability", Datatype::Fp64, vec![-1, labels]));
    }
    outputs.push(tensor("prediction_id", Datatype::Bytes, vec![-1]));
    ModelMetadataResponse {
        name: deployed.name.clone(),
        versions: vec![deployed.version.to_string()],
        platform: SERVER.into(),
        inputs: inputs.map(|input| tensor(&input.name, Datatype::of(&input.column_type), vec![-1])).collect(),
        outputs,
        properties: [("model".to_owned(), deployed.artifact.to_string())].into(),
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Inference {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: true }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        let project = project(&request)?;
        let message = request.into_inner();
        let ready = self.0.get_version(&project, &message.name, &message.version).is_ok();
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        let version = env!("CARGO_PKG_VERSION").into();
        Ok(Response::new(ServerMetadataResponse { name: SERVER.into(), version, extensions: Vec::new() }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let project = project(&request)?;
        let message = request.into_inner();
        let deployed = self.0.get_version(&project, &message.name, &message.version)?;
        Ok(Response::new(metadata(&deployed)))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let project = project(&request)?;
        let mut message = request.into_inner();
        let deployed = self.0.get_version(&project, &message.model_name, &message.model_version)?;
        let at = self.0.clock().now();
        let of = Arc::clone(&deployed);
        let answer = work(message.encoded_len(), move || {
            let (id, raw) = (std::mem::take(&mut message.id), !message.raw_input_contents.is_empty());
            let requested: Vec<String> = message.outputs.iter().map(|output| output.name.clone()).collect();
            tensor::outputs(&requested, of.task())?;
            let table = tensor::table(&tensor::read_request(message)?, of.model.signature())?;
            let (predictions, first) = of.predict_table(&table, at)?;
            tensor::write_response(&of, id, &requested, raw, &predictions, first)
        });
        match answer.await {
            Ok(response) => Ok(Response::new(response)),
            Err(error) => {
                deployed.metrics.refused(error.reason());
                Err(error.into())
            }
        }
    }
}
