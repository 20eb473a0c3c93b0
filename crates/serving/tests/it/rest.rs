//! JSON rows over REST.

use gristmill_types::Digest;
use serde_json::json;

use super::world::{ROWS, World, expected};

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_answered_to_the_bit_with_ids_of_their_own() {
    let world = World::serving_taxi().await;
    let (status, answer) = world.post("/v1/models/taxi:predict", ROWS).await;
    assert_eq!((status, &answer["model"], &answer["version"]), (200, &json!("taxi"), &json!(1)));
    let predictions = answer["predictions"].as_array().unwrap();
    for (prediction, p) in predictions.iter().zip(expected(1.5)) {
        assert_eq!(prediction["probability"]["true"].as_f64().unwrap().to_bits(), p.to_bits());
        assert_eq!(prediction["probability"]["false"].as_f64().unwrap().to_bits(), (1.0 - p).to_bits());
        assert_eq!(prediction["prediction"], json!(if p >= 0.5 { "true" } else { "false" }));
    }
    assert_ne!(predictions[0]["prediction_id"], predictions[1]["prediction_id"]);
    // One row, as an array, takes the shorter way to the same bits.
    let (_, one) = world
        .post("/v1/models/taxi:predict", r#"{"instances": [[0.5, 3, "Lyon", 12.5, "1970-01-01T10:00:00Z"]]}"#)
        .await;
    assert_eq!(one["predictions"][0]["probability"], predictions[0]["probability"]);
    let (_, none) = world.post("/v1/models/taxi:predict", r#"{"rows": []}"#).await;
    assert_eq!(none["predictions"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_answered_with_its_place_and_reason() {
    let world = World::serving_taxi().await;
    let predict = "/v1/models/taxi:predict";
    let cases = [
        (predict, r#"{"rows": [{"x": 1}]}"#, 400, "MISSING_COLUMNS", "`n`"),
        (predict, r#"{"rows": [{"x": "a", "n": 1}]}"#, 400, "WRONG_TYPE", "column `x`, row 0"),
        (predict, r#"{"rows": [{"x": 1, "n": 1}, {"x": 1, "n": 1.5}]}"#, 400, "WRONG_TYPE", "column `n`, row 1"),
        (predict, r#"{"rows": [{"x": 1, "n": 1"#, 400, "INVALID_JSON", "the text ends here"),
        (predict, r#"{"row": []}"#, 400, "INVALID_REQUEST", "not a field"),
        ("/v1/models/nobody:predict", ROWS, 404, "MODEL_NOT_LOADED", "`nobody`"),
        ("/v1/models/taxi:guess", ROWS, 404, "UNKNOWN_PATH", ":predict"),
        ("/v2/models/taxi/versions/9/infer", "{}", 404, "VERSION_NOT_LOADED", "version 1, not 9"),
    ];
    for (path, body, expected_status, reason, part) in cases {
        let (status, answer) = world.post(path, body).await;
        let error = answer["error"].as_str().unwrap();
        assert_eq!((status, answer["reason"].as_str()), (expected_status, Some(reason)), "{body}: {error}");
        assert!(error.contains(part), "{error}");
    }
    let many = format!(r#"{{"rows": [{}[0]]}}"#, "[0.5, 1, null, null, null],".repeat(10_000));
    let (status, answer) = world.post(predict, &many).await;
    assert_eq!((status, answer["reason"].as_str()), (400, Some("TOO_LARGE")));
    let (status, _) = world.call("POST", predict, "gristmill-project: elsewhere\r\n", ROWS).await;
    assert_eq!(status, 404, "another project has no such model");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_rows_are_one_request() {
    let world = World::serving_taxi().await;
    let body = format!(
        r#"{{"rows": [{}[0.5, 3, "Lyon", 12.5, "1970-01-01T10:00:00Z"]]}}"#,
        "[0.5, 1, null, null, null],".repeat(9_999)
    );
    let (status, answer) = world.post("/v1/models/taxi:predict", &body).await;
    let predictions = answer["predictions"].as_array().unwrap();
    assert_eq!((status, predictions.len()), (200, 10_000));
    assert_eq!(predictions[9_999]["probability"]["true"].as_f64(), Some(expected(1.5)[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_file_is_handed_out_as_it_is() {
    let world = World::serving_taxi().await;
    let (_, models) = world.get("/v1/models").await;
    let taxi = &models["models"][0];
    assert_eq!(
        (&taxi["name"], &taxi["ready"], &taxi["inputs"][3]["type"]),
        (&json!("taxi"), &json!(true), &json!("decimal(2)"))
    );
    let (status, file) = world.call("GET", "/v1/models/taxi/file", "", "").await;
    assert_eq!(status, 200);
    assert_eq!(json!(Digest::of(&file).to_string()), taxi["file_digest"]);
    assert_eq!(gristmill_model::Model::read(&file).unwrap().check_example(), Ok(()));
}
