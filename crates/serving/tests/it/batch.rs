//! Batch prediction: a file or a dataset in, predictions out.

use gristmill_frame::{read_parquet, write_parquet};
use gristmill_proto::job::JobState;
use gristmill_proto::serving::{CreatePredictionJobRequest, GetPredictionJobRequest, PredictionJob, PredictionSpec};
use gristmill_proto::table::FileFormat;
use gristmill_types::{ArtifactKind, ArtifactRef, Cell, Column, Columns, Project, Values};
use serde_json::json;
use tonic::Code;

use super::world::{World, expected, message, table};

async fn run(world: &World, spec: PredictionSpec) -> PredictionJob {
    let request = CreatePredictionJobRequest { spec: Some(spec), ..Default::default() };
    let job = world.predictions().create_prediction_job(request).await.unwrap().into_inner().job.unwrap().job.unwrap();
    world.ledger.finished(&Project::default(), job.id.parse().unwrap()).await.unwrap();
    let request = GetPredictionJobRequest { id: job.id, ..Default::default() };
    world.predictions().get_prediction_job(request).await.unwrap().into_inner().job.unwrap()
}

async fn source(world: &World, bytes: Vec<u8>) -> ArtifactRef {
    gristmill_testkit::put(&world.sandbox.store(), ArtifactKind::Source, [], [("file", bytes)]).await
}

async fn part(world: &World, job: &PredictionJob, name: &str) -> Vec<u8> {
    let artifact = ArtifactRef::try_from(job.result.as_ref().unwrap().predictions.as_ref().unwrap()).unwrap();
    let artifact = world.sandbox.store().open(&artifact).await.unwrap();
    artifact.part(name).unwrap().bytes().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_file_is_read_with_the_models_types() {
    let world = World::new().await;
    let model = world.store(message(1.5)).await;
    let csv = "ride,x,n,city,price,at\nr1,1,3,007,12.5,1970-01-01T10:00:00Z\nr2,2,0,001,,1970-01-01T02:00:00Z\n";
    let input = source(&world, csv.as_bytes().to_vec()).await;
    let spec = PredictionSpec {
        model: Some(model.into()),
        input: Some(input.into()),
        input_format: FileFormat::Csv.into(),
        output_format: FileFormat::Csv.into(),
        ..Default::default()
    };
    let job = run(&world, spec).await;
    assert_eq!(job.job.as_ref().unwrap().state(), JobState::Succeeded, "{:?}", job.job);
    let text = String::from_utf8(part(&world, &job, "rows.csv").await).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("ride,prediction,probability_false,probability_true"));
    let found: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!((found.len(), found[0][0], found[1][0]), (2, "r1", "r2"));
    // `007` is a value of the vocabulary, `001` is not: read as numbers both would be unknown.
    let rows = Columns::new(vec![
        Column::float("x", [Some(1.0), Some(2.0)]),
        Column::int("n", [Some(3), Some(0)]),
        Column::text("city", [Some("007"), Some("001")]),
        Column::float("price", [Some(12.5), None]),
        table().get("at").unwrap().clone(),
    ]);
    let model = gristmill_model::Model::from_proto(message(1.5)).unwrap();
    let expected: Vec<f64> = model.predict(&rows.unwrap()).unwrap().positive().collect();
    assert_eq!([&found[0][3], &found[1][3]].map(|p| p.parse::<f64>().unwrap()), expected[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_keeps_its_row_keys_and_warnings_say_what_was_odd() {
    let world = World::new().await;
    let mut with_range = message(1.5);
    let signature = with_range.signature.as_mut().unwrap();
    (signature.inputs[0].min, signature.inputs[0].max) = (Some(-1.0), Some(1.0));
    let model = world.store(with_range).await;
    let mut columns =
        vec![Column::int("_row_key", [Some(71), Some(72)]), Column::new("late", Values::Bool(vec![true; 2]))];
    columns.extend(table().select(&["x", "n", "city", "price"]).into_columns());
    let mut parquet = Vec::new();
    write_parquet(&Columns::new(columns).unwrap(), &mut parquet).unwrap();
    let dataset = world.sandbox.dataset(parquet, &json!({})).await;
    let spec = PredictionSpec { model: Some(model.into()), input: Some(dataset.into()), ..Default::default() };
    let job = run(&world, spec.clone()).await;
    let result = job.result.clone().expect("a result");
    assert_eq!(result.rows, 2);
    let warnings = result.warnings.join("; ");
    assert!(warnings.contains("column `at` is not in the input"), "{warnings}");
    assert!(warnings.contains("column `x` has 1 numbers beyond the range"), "{warnings}");
    let path = world.sandbox.folder().join("predictions.parquet");
    std::fs::write(&path, part(&world, &job, "rows.parquet").await).unwrap();
    let predictions = read_parquet(&path).unwrap();
    let names: Vec<&str> = predictions.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["_row_key", "prediction", "probability_false", "probability_true"]);
    assert_eq!(predictions.columns()[0].cell(1), Cell::Int(72));

    // The same spec again is answered from the first.
    let request = CreatePredictionJobRequest { spec: Some(spec), ..Default::default() };
    let again = world.predictions().create_prediction_job(request).await.unwrap().into_inner().job.unwrap();
    assert!(again.job.unwrap().cached);
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_in_is_predicted_to_the_bit() {
    let world = World::new().await;
    let model = world.store(message(1.5)).await;
    let rows = table().select(&["x", "n", "city", "at"]);
    let mut bytes = Vec::new();
    write_parquet(&rows, &mut bytes).unwrap();
    let input = source(&world, bytes).await;
    let job =
        run(&world, PredictionSpec { model: Some(model.into()), input: Some(input.into()), ..Default::default() })
            .await;
    let path = world.sandbox.folder().join("predictions.parquet");
    std::fs::write(&path, part(&world, &job, "rows.parquet").await).unwrap();
    let found = read_parquet(&path).unwrap();
    // The second row has no price: what is missing here is missing there.
    assert_eq!(found.get("probability_true").unwrap().cell(1), Cell::Float(expected(1.5)[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_specs_and_bad_rows_are_named() {
    let world = World::new().await;
    let model = world.store(message(1.5)).await;
    let input = source(&world, b"x,city\n1,Lyon\n".to_vec()).await;
    let mut predictions = world.predictions();
    let refused = predictions.create_prediction_job(CreatePredictionJobRequest {
        spec: Some(PredictionSpec { model: Some(input.into()), input: Some(model.into()), ..Default::default() }),
        ..Default::default()
    });
    let status = refused.await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("model: is a source, needed is a model"), "{}", status.message());
    let job =
        run(&world, PredictionSpec { model: Some(model.into()), input: Some(input.into()), ..Default::default() })
            .await;
    let error = job.job.unwrap().error.unwrap();
    assert_eq!(error.reason, "MISSING_COLUMNS");
    assert!(error.message.contains("`n`"), "{}", error.message);
}
