//! The Open Inference Protocol v2 over REST and gRPC.

use gristmill_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use gristmill_proto::inference::{
    InferTensorContents, ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelReadyRequest,
    ServerLiveRequest, ServerReadyRequest,
};
use serde_json::json;
use tonic::Code;

use super::world::{World, expected};

const COLUMNS: &str = r#"{"id": "req-1", "inputs": [
    {"name": "x", "datatype": "FP64", "shape": [2], "data": [0.5, -1.25]},
    {"name": "n", "datatype": "INT32", "shape": [2, 1], "data": [[3], [0]]},
    {"name": "city", "datatype": "BYTES", "shape": [2], "data": ["Lyon", null], "parameters": {"content_type": "str"}},
    {"name": "price", "datatype": "BYTES", "shape": [2], "data": ["12.5", null]},
    {"name": "at", "datatype": "BYTES", "shape": [2], "data": ["1970-01-01T10:00:00Z", "1970-01-01T02:00:00Z"]}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_model_is_live_and_ready() {
    let world = World::new().await;
    assert_eq!(world.get("/v2/health/live").await, (200, json!({"live": true})));
    assert_eq!(world.get("/v2/health/ready").await, (200, json!({"ready": true})));
    assert_eq!(world.get("/v2").await.1["name"], "gristmill");
    assert_eq!(world.get("/v2/models/taxi/ready").await.0, 404);
    let mut grpc = world.inference();
    assert!(grpc.server_live(ServerLiveRequest {}).await.unwrap().into_inner().live);
    assert!(grpc.server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready);
    let ready = grpc.model_ready(ModelReadyRequest { name: "taxi".into(), version: String::new() }).await.unwrap();
    assert!(!ready.into_inner().ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_over_rest_are_answered_as_tensors() {
    let world = World::serving_taxi().await;
    assert_eq!(world.get("/v2/models/taxi/versions/1/ready").await, (200, json!({"name": "taxi", "ready": true})));
    let (_, metadata) = world.get("/v2/models/taxi").await;
    assert_eq!(metadata["inputs"][2], json!({"name": "city", "datatype": "BYTES", "shape": [-1]}));
    assert_eq!(metadata["outputs"][1], json!({"name": "probability", "datatype": "FP64", "shape": [-1, 2]}));

    let (status, answer) = world.post("/v2/models/taxi/infer", COLUMNS).await;
    assert_eq!((status, &answer["id"], &answer["model_version"]), (200, &json!("req-1"), &json!("1")), "{answer}");
    let [first, second] = expected(1.5).try_into().unwrap();
    assert_eq!(answer["outputs"][1]["data"], json!([1.0 - first, first, 1.0 - second, second]));
    assert_eq!(answer["outputs"][0]["data"], json!(["true", "false"]));
    assert_eq!(answer["outputs"][1]["shape"], json!([2, 2]));

    let asked = COLUMNS.replacen("\"id\"", "\"outputs\": [{\"name\": \"probability\"}], \"id\"", 1);
    let (_, answer) = world.post("/v2/models/taxi/versions/1/infer", &asked).await;
    assert_eq!(answer["outputs"].as_array().unwrap().len(), 1);
    let (status, answer) = world.post("/v2/models/taxi/infer", &asked.replace("probability", "proba")).await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().contains("there are prediction, probability"), "{answer}");
    let (status, answer) =
        world.post("/v2/models/taxi/infer", &COLUMNS.replace("[2], \"data\": [0.5", "[3], \"data\": [0.5")).await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().contains("inputs[0]: has 2 elements"), "{answer}");
}

fn tensor(name: &str, datatype: &str, contents: InferTensorContents) -> InferInputTensor {
    InferInputTensor {
        name: name.into(),
        datatype: datatype.into(),
        shape: vec![2],
        contents: Some(contents),
        ..Default::default()
    }
}

fn typed() -> ModelInferRequest {
    let bytes = |texts: [&str; 2]| InferTensorContents {
        bytes_contents: texts.map(|text| text.as_bytes().to_vec()).into(),
        ..Default::default()
    };
    let times = ["1970-01-01T10:00:00Z", "1970-01-01T02:00:00Z"];
    ModelInferRequest {
        model_name: "taxi".into(),
        id: "g".into(),
        inputs: vec![
            tensor("x", "FP64", InferTensorContents { fp64_contents: vec![0.5, -1.25], ..Default::default() }),
            tensor("n", "INT64", InferTensorContents { int64_contents: vec![3, 0], ..Default::default() }),
            tensor("city", "BYTES", bytes(["Lyon", "Lyon"])),
            tensor("price", "FP32", InferTensorContents { fp32_contents: vec![12.5, f32::NAN], ..Default::default() }),
            tensor("at", "BYTES", bytes(times)),
        ],
        ..Default::default()
    }
}

fn raw() -> ModelInferRequest {
    let mut request = typed();
    let text = |texts: [&str; 2]| -> Vec<u8> {
        texts.iter().flat_map(|t| [&u32::try_from(t.len()).unwrap().to_le_bytes()[..], t.as_bytes()].concat()).collect()
    };
    request.inputs.iter_mut().for_each(|input| input.contents = None);
    request.raw_input_contents = vec![
        [0.5_f64, -1.25].iter().flat_map(|v| v.to_le_bytes()).collect(),
        [3_i64, 0].iter().flat_map(|v| v.to_le_bytes()).collect(),
        text(["Lyon", "Lyon"]),
        [12.5_f32, f32::NAN].iter().flat_map(|v| v.to_le_bytes()).collect(),
        text(["1970-01-01T10:00:00Z", "1970-01-01T02:00:00Z"]),
    ];
    request
}

async fn infer(world: &World, request: ModelInferRequest) -> ModelInferResponse {
    world.inference().model_infer(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_answers_typed_and_raw_alike() {
    let world = World::serving_taxi().await;
    let request = ModelMetadataRequest { name: "taxi".into(), version: "1".into() };
    let metadata = world.inference().model_metadata(request).await;
    assert_eq!(metadata.unwrap().into_inner().inputs[0].datatype, "FP64");
    let answer = infer(&world, typed()).await;
    assert_eq!((answer.id.as_str(), answer.outputs.len()), ("g", 3));
    let probabilities = answer.outputs[1].contents.as_ref().unwrap().fp64_contents.clone();
    assert_eq!(probabilities[1].to_bits(), expected(1.5)[0].to_bits());

    let answer = infer(&world, raw()).await;
    let found: Vec<f64> =
        answer.raw_output_contents[1].as_chunks::<8>().0.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect();
    assert_eq!(found, probabilities);
    assert_eq!(answer.raw_output_contents[0], b"\x04\0\0\0true\x05\0\0\0false");
    assert!(answer.outputs.iter().all(|output| output.contents.is_none()));

    let mut one = typed();
    one.outputs = vec![InferRequestedOutputTensor { name: "prediction".into(), ..Default::default() }];
    assert_eq!(infer(&world, one).await.outputs.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_refuses_what_does_not_fit() {
    let world = World::serving_taxi().await;
    type Change = fn(&mut ModelInferRequest);
    let refused = async |change: Change| {
        let mut request = raw();
        change(&mut request);
        world.inference().model_infer(request).await.unwrap_err()
    };
    let cases: [(Change, &str); 5] = [
        (|r| drop(r.raw_input_contents.pop()), "raw_input_contents: has 4 entries"),
        (|r| r.raw_input_contents[0].truncate(9), "raw_input_contents[0]: is not a row of FP64"),
        (|r| r.inputs[1].datatype = "INT65".into(), "inputs[1].datatype"),
        (|r| r.inputs[0].shape = vec![-2], "inputs[0]: has 2 elements"),
        (|r| r.inputs[1].name = "x".into(), "`x` appears twice"),
    ];
    for (change, expected) in cases {
        let status = refused(change).await;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(expected), "{}", status.message());
    }
    let status = refused(|r| r.model_name = "nobody".into()).await;
    assert_eq!(status.code(), Code::NotFound);
}
