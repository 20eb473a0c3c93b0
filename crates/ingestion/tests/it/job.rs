//! Local files below allowed folders, and expected schemas.

use gristmill_proto::ingestion::{IngestionSpec, Integration, Source, source};
use gristmill_proto::job::JobState;

use super::bench::{Bench, spec};

fn uri(path: &std::path::Path) -> Source {
    let location = Some(source::Location::Uri(format!("file://{}", path.display())));
    Source { name: "data".into(), location, ..Source::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_below_an_allowed_folder_are_read_and_kept() {
    let bench = Bench::new().await;
    let allowed = bench.sandbox.folder().join("allowed");
    std::fs::write(allowed.join("a.csv"), "x\n1\n").unwrap();
    let wanted = || spec(vec![uri(&allowed.join("a.csv"))], Integration::default());
    let first = bench.run(wanted()).await.result.unwrap();
    assert_eq!(first.rows, 1);
    let dataset = gristmill_types::ArtifactRef::try_from(first.dataset.as_ref().unwrap()).unwrap();
    let inputs = bench.sandbox.store().open(&dataset).await.unwrap().manifest().inputs().to_vec();
    let kept = bench.sandbox.store().open(&inputs[0]).await.unwrap();
    assert_eq!(&kept.part("data").unwrap().bytes().await.unwrap()[..], b"x\n1\n");
    // The same address with other content is never answered from before.
    std::fs::write(allowed.join("a.csv"), "x\n1\n2\n").unwrap();
    assert_eq!(bench.run(wanted()).await.result.unwrap().rows, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_elsewhere_are_not() {
    let bench = Bench::new().await;
    let folder = bench.sandbox.folder().to_owned();
    std::fs::write(folder.join("secret.csv"), "x\n1\n").unwrap();
    std::os::unix::fs::symlink(folder.join("secret.csv"), folder.join("allowed/link.csv")).unwrap();
    for path in [folder.join("secret.csv"), folder.join("allowed/link.csv"), "/etc/passwd".into()] {
        let (reason, message) = bench.refusal(spec(vec![uri(&path)], Integration::default())).await;
        assert_eq!(reason, "INVALID_SPEC");
        assert!(message.contains("is not below a folder that this server allows"), "{message}");
        assert!(!message.contains("/etc") && !message.contains("secret"), "{message}");
    }
    let (_, message) =
        bench.refusal(spec(vec![uri(&folder.join("allowed/../secret.csv"))], Integration::default())).await;
    assert!(message.contains("without `..`"), "{message}");
    let missing = bench.refusal(spec(vec![uri(&folder.join("allowed/none.csv"))], Integration::default())).await;
    assert_eq!(missing.0, "SOURCE_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expected_schema_refuses_reports_or_lets_pass() {
    let bench = Bench::new().await;
    let source = bench.csv("data", "x,colour\n1,red\n200,blue\n").await;
    let expected = serde_json::json!({
        "version": 1,
        "columns": [
            {"name": "x", "type": "int", "max": 100.0, "allow_nan": false, "allow_infinite": false},
            {"name": "colour", "type": "text"},
            {"name": "size", "type": "float"},
        ],
    });
    let with = |refuse: &str| IngestionSpec {
        expected_schema: expected.to_string(),
        refuse_anomalies: refuse.into(),
        ..spec(vec![source.clone()], Integration::default())
    };
    let (reason, message) = bench.refusal(with("")).await;
    assert_eq!(reason, "SCHEMA_ANOMALIES");
    assert!(message.contains("anomalies against the expected schema"), "{message}");
    let done = bench.run(with("never")).await;
    assert_eq!(done.job.unwrap().state(), JobState::Succeeded);
    let found: Vec<(String, String)> =
        done.result.unwrap().anomalies.into_iter().map(|anomaly| (anomaly.kind, anomaly.column)).collect();
    assert!(found.contains(&("column_missing".into(), "size".into())), "{found:?}");
    assert!(found.contains(&("above_domain".into(), "x".into())), "{found:?}");
}
