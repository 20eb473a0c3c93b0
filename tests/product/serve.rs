//! `up`: REST, reload on promotion, commands that use the server, drain.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use gristmill_tests::{Desk, small_csv};
use serde_json::Value;

fn predict(up: &gristmill_tests::Up, body: &str) -> (u16, Value) {
    let (status, text) = up.http("POST", "/v1/models/churn:predict", body);
    (status, serde_json::from_str(&text).unwrap())
}

#[test]
fn what_was_promoted_is_served_and_commands_use_the_server() {
    let desk = Desk::new();
    let csv = desk.write("d.csv", small_csv(400));
    let up = desk.up();
    let (status, _) = up.http("GET", "/v2/models/churn", "");
    assert_eq!(status, 404);

    // The run goes to the server: it holds the data directory.
    let run = desk.ok(&["run", &csv, "--target", "y", "--name", "churn", "--output", "json"]).json();
    assert_eq!(run["model"]["aliases"][0], "champion", "{run}");
    let row = r#"{"rows":[{"a":0.9,"b":0.5,"city":"Lyon"},{"a":0.0,"b":0.1,"city":null}]}"#;
    let mut answer = predict(&up, row);
    let begin = std::time::Instant::now();
    while answer.0 != 200 && begin.elapsed().as_secs() < 30 {
        std::thread::yield_now();
        answer = predict(&up, row);
    }
    let (status, answer) = answer;
    assert_eq!(status, 200, "{answer}");
    let text = answer.to_string();
    assert!(text.contains("yes") && text.contains("no"), "{text}");

    let (status, refused) = predict(&up, r#"{"rows":[{"a":"wide","b":0.5,"city":"Lyon"}]}"#);
    assert_eq!(status, 400, "{refused}");
    assert!(refused["error"].as_str().is_some_and(|error| error.contains('a')), "{refused}");
    let (status, meta) = up.http("GET", "/v2/models/churn", "");
    assert_eq!(status, 200);
    let meta: Value = serde_json::from_str(&meta).unwrap();
    assert_eq!(meta["inputs"].as_array().map(Vec::len), Some(3), "{meta}");
    let tensors = r#"{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":[0.9]},{"name":"b","shape":[1],"datatype":"FP64","data":[0.5]},{"name":"city","shape":[1],"datatype":"BYTES","data":["Lyon"]}]}"#;
    let (status, infer) = up.http("POST", "/v2/models/churn/infer", tensors);
    assert_eq!(status, 200, "{infer}");
    let (status, metrics) = up.http("GET", "/metrics", "");
    assert!(status == 200 && metrics.contains("rpc_server"), "{metrics}");

    // One row scores the same in batch.
    let one = desk.write("one.csv", "a,b,city\n0.9,0.5,Lyon\n");
    desk.ok(&["predict", "--model", "churn@champion", "--input", &one, "--output", "out.csv"]);
    let scored = std::fs::read_to_string(desk.path().join("out.csv")).unwrap();
    let probability = scored.lines().nth(1).unwrap().rsplit(',').next().unwrap().to_owned();
    assert!(text.contains(&probability), "{probability} is not in {text}");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let desk = Desk::new();
    let _up = desk.up();
    let second = desk.run(&["up", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    second.fails(1, &["in use"]);
}
