//! Registering versions.

use std::collections::BTreeMap;

use gristmill_proto::registry as message;
use gristmill_proto::registry::get_model_version_request::Which;
use gristmill_registry::{NewVersion, RegistryError, Verdict};
use gristmill_rpc::Problem;
use gristmill_types::{ArtifactKind, ArtifactRef, Digest, ErrorCode, Project, RequestId};

use super::bench::{Bench, create, name};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_registrations_at_once_leave_no_gap() {
    let bench = Bench::new().await;
    let model = bench.model("trees", &[]).await;
    let mut tasks = Vec::new();
    for number in 0..1_000 {
        let registry = bench.registry.clone();
        let run_id = format!("run-{number}");
        let new = NewVersion { run_id, ..NewVersion::of(name("fraud"), model) };
        tasks.push(tokio::spawn(async move {
            registry
                .register(&Project::default(), &new, None, "ana")
                .await
                .map(|version| (version.version, version.run_id))
        }));
    }
    let mut given = BTreeMap::new();
    for task in tasks {
        let (version, run_id) = task.await.unwrap().unwrap();
        assert_eq!(given.insert(version, run_id), None, "a number was given twice");
    }
    assert!(given.keys().copied().eq(1..=1_000));
    // What is stored is what was answered.
    let mut token = String::new();
    let mut stored = BTreeMap::new();
    loop {
        let page = bench.registry.versions(&bench.project(), &name("fraud"), 500, &token).await.unwrap();
        stored.extend(page.entries.into_iter().map(|version| (version.version, version.run_id)));
        token = page.next;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(stored, given);
}

#[tokio::test]
async fn a_version_keeps_what_was_said() {
    let bench = Bench::new().await;
    let prepared = bench.artifact(ArtifactKind::Prepared, "train", &[]).await;
    let model = bench.model("trees", &[prepared]).await;
    let evaluation = bench.evaluation(model, "passed").await;
    let request = message::CreateModelVersionRequest {
        request_id: "r1".into(),
        evaluation: Some(evaluation.into()),
        verdict: "passed".into(),
        metrics: BTreeMap::from([("log_loss".into(), 0.423_579_130_086_175_9), ("auc".into(), 0.711)]),
        description: "first".into(),
        tags: BTreeMap::from([("team".into(), "risk".into())]),
        seen: vec![prepared.into()],
        run_id: "run-7".into(),
        ..create("fraud", model)
    };
    let mut client = bench.client();
    let version = client.create_model_version(request.clone()).await.unwrap().into_inner().version.unwrap();
    assert_eq!((version.version, version.created_by.as_str(), version.verdict.as_str()), (1, "ana", "passed"));
    assert_eq!(version.status(), message::VersionStatus::Ready);
    assert_eq!((&version.metrics, &version.tags, &version.seen), (&request.metrics, &request.tags, &request.seen));
    let asked =
        message::GetModelVersionRequest { name: "fraud".into(), which: Some(Which::Version(1)), ..Default::default() };
    assert_eq!(client.get_model_version(asked).await.unwrap().into_inner().version.unwrap(), version);

    let update = message::UpdateModelVersionRequest {
        name: "fraud".into(),
        version: 1,
        description: Some("better words".into()),
        tags: BTreeMap::from([("team".into(), String::new()), ("tier".into(), "gold".into())]),
        ..Default::default()
    };
    let updated = client.update_model_version(update).await.unwrap().into_inner().version.unwrap();
    let tags = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
    let expected = message::ModelVersion { description: "better words".into(), tags, ..version };
    assert_eq!(updated, expected, "nothing else changes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_is_the_same_version() {
    let bench = Bench::new().await;
    let model = bench.model("trees", &[]).await;
    let request = RequestId::new("nightly-2024-03-01").unwrap();
    let new = NewVersion::of(name("fraud"), model);
    let mut tasks = Vec::new();
    for _ in 0..20 {
        let (registry, new, request) = (bench.registry.clone(), new.clone(), request.clone());
        tasks.push(tokio::spawn(async move {
            registry.register(&Project::default(), &new, Some(&request), "ana").await.unwrap().version
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), 1);
    }
    let other = NewVersion { description: "something else".into(), ..new.clone() };
    let refused = bench.registry.register(&bench.project(), &other, Some(&request), "ana").await.unwrap_err();
    assert_eq!((refused.code(), refused.reason()), (ErrorCode::AlreadyExists, "REQUEST_ID_REUSED"));
    // Another request for the same bytes is another version, and the refusals left no gap.
    let second = bench.registry.register(&bench.project(), &new, None, "ana").await.unwrap();
    assert_eq!(second.version, 2);
}

/// Registers over the contract and gives the problem.
async fn refused(bench: &Bench, request: message::CreateModelVersionRequest) -> Problem {
    Problem::from(bench.client().create_model_version(request).await.unwrap_err())
}

#[tokio::test]
async fn what_is_not_there_or_damaged_is_refused() {
    let bench = Bench::new().await;
    let nowhere = ArtifactRef { kind: ArtifactKind::Model, digest: Digest::of(b"nowhere") };
    let problem = refused(&bench, create("fraud", nowhere)).await;
    assert_eq!((problem.code, &*problem.reason), (ErrorCode::FailedPrecondition, "ARTIFACT_UNUSABLE"));
    assert_eq!(problem.violations[0].field, "model");

    let damaged = bench.model("true trees", &[]).await;
    bench.tamper("true trees", "fake trees");
    let problem = refused(&bench, create("fraud", damaged)).await;
    assert_eq!((problem.code, &*problem.reason), (ErrorCode::DataLoss, "ARTIFACT_DAMAGED"));

    let dataset = bench.artifact(ArtifactKind::Dataset, "rows", &[]).await;
    let orphan = bench.model("orphan", &[dataset]).await;
    bench.collect(dataset);
    let problem = refused(&bench, create("fraud", orphan)).await;
    assert_eq!(problem.code, ErrorCode::FailedPrecondition);
    assert!(problem.message.contains(&dataset.digest.to_string()), "{problem}");

    let model = bench.model("trees", &[]).await;
    let seen = ArtifactRef { kind: ArtifactKind::Prepared, digest: Digest::of(b"nowhere") };
    let problem =
        refused(&bench, message::CreateModelVersionRequest { seen: vec![seen.into()], ..create("fraud", model) }).await;
    assert_eq!(problem.violations[0].field, "seen[0]");
    let problem = refused(&bench, create("fraud", dataset)).await;
    assert_eq!((problem.code, &*problem.reason), (ErrorCode::InvalidArgument, "ARTIFACT_KIND"));

    // None of the refusals took a number.
    assert_eq!(bench.passed("good trees").await.version, 1);
}

#[tokio::test]
async fn a_verdict_is_read_from_the_evaluation_of_this_model() {
    let bench = Bench::new().await;
    let model = bench.model("trees", &[]).await;
    let other = bench.model("other trees", &[]).await;
    let refused_by_gate = bench.evaluation(model, "refused").await;
    let of_other = bench.evaluation(other, "passed").await;
    // The model was only the champion that another one was held against.
    let as_champion = bench.evaluation_against(other, Some(model), "passed").await;
    let unreadable = bench.evaluation(model, "splendid").await;
    let request = |evaluation: ArtifactRef, verdict: &str| message::CreateModelVersionRequest {
        evaluation: Some(evaluation.into()),
        verdict: verdict.into(),
        ..create("fraud", model)
    };
    for (request, reason) in [
        (request(refused_by_gate, "passed"), "VERDICT_DIFFERS"),
        (request(of_other, "passed"), "EVALUATION_OF_ANOTHER_MODEL"),
        (request(as_champion, "passed"), "EVALUATION_OF_ANOTHER_MODEL"),
        (request(unreadable, ""), "VERDICT_UNREADABLE"),
        (message::CreateModelVersionRequest { verdict: "passed".into(), ..create("fraud", model) }, "INVALID_REQUEST"),
        (request(refused_by_gate, "great"), "INVALID_REQUEST"),
    ] {
        assert_eq!(refused(&bench, request).await.reason, reason);
    }
    let new = NewVersion { evaluation: Some(refused_by_gate), ..NewVersion::of(name("fraud"), model) };
    let version = bench.registry.register(&bench.project(), &new, None, "ana").await.unwrap();
    assert_eq!((version.version, version.verdict), (1, Some(Verdict::Refused)));
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let bench = Bench::new().await;
    let model = bench.model("trees", &[]).await;
    let base = create("fraud", model);
    let many = (0..65).map(|n| (format!("t{n}"), "x".to_owned())).collect();
    for (request, field) in [
        (message::CreateModelVersionRequest { name: "Fraud Model".into(), ..base.clone() }, "name"),
        (message::CreateModelVersionRequest { project: "NO".into(), ..base.clone() }, "project"),
        (message::CreateModelVersionRequest { model: None, ..base.clone() }, "model"),
        (message::CreateModelVersionRequest { request_id: "a b".into(), ..base.clone() }, "request_id"),
        (
            message::CreateModelVersionRequest { metrics: BTreeMap::from([("auc".into(), f64::NAN)]), ..base.clone() },
            "metrics[auc]",
        ),
        (message::CreateModelVersionRequest { tags: many, ..base.clone() }, "tags"),
        (message::CreateModelVersionRequest { description: "x".repeat(20_000), ..base }, "description"),
    ] {
        let problem = refused(&bench, request).await;
        assert_eq!((problem.code, problem.violations[0].field.as_str()), (ErrorCode::InvalidArgument, field));
    }
}

#[tokio::test]
async fn lists_come_in_pages_and_projects_are_apart() {
    let bench = Bench::new().await;
    for number in 0..5 {
        bench.passed(&format!("trees {number}")).await;
    }
    let mut client = bench.client();
    let mut seen = Vec::new();
    let mut request = message::ListModelVersionsRequest { name: "fraud".into(), page_size: 2, ..Default::default() };
    loop {
        let page = client.list_model_versions(request.clone()).await.unwrap().into_inner();
        assert!(page.versions.len() <= 2);
        seen.extend(page.versions.iter().map(|version| version.version));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    request.page_token = "x".into();
    let problem = Problem::from(client.list_model_versions(request).await.unwrap_err());
    assert_eq!(problem.reason, "INVALID_PAGE_TOKEN");

    let model = bench.model("trees", &[]).await;
    for other in ["churn", "delay"] {
        client.create_model_version(create(other, model)).await.unwrap();
    }
    let first = message::ListModelsRequest { page_size: 2, ..Default::default() };
    let page = client.list_models(first.clone()).await.unwrap().into_inner();
    let names: Vec<_> = page.models.iter().map(|model| (model.name.as_str(), model.latest_version)).collect();
    assert_eq!(names, [("churn", 1), ("delay", 1)]);
    let next = message::ListModelsRequest { page_token: page.next_page_token, ..first };
    let page = client.list_models(next).await.unwrap().into_inner();
    assert_eq!((page.models[0].name.as_str(), page.models[0].latest_version), ("fraud", 5));
    assert_eq!((page.models.len(), page.next_page_token.as_str()), (1, ""));

    let elsewhere = message::ListModelsRequest { project: "other".into(), ..Default::default() };
    assert!(client.list_models(elsewhere).await.unwrap().into_inner().models.is_empty());
    let (other, new) = (Project::new("other").unwrap(), NewVersion::of(name("fraud"), model));
    let refused = bench.registry.register(&other, &new, None, "ana").await;
    assert!(matches!(refused, Err(RegistryError::Artifact { .. })), "another project's model is not there");
}

#[tokio::test]
async fn unknown_names_say_which() {
    let bench = Bench::new().await;
    bench.passed("trees").await;
    let ask = |name: &str, which: Which| message::GetModelVersionRequest {
        name: name.into(),
        which: Some(which),
        ..Default::default()
    };
    for (request, reason) in [
        (ask("churn", Which::Version(1)), "MODEL_NOT_FOUND"),
        (ask("fraud", Which::Version(2)), "VERSION_NOT_FOUND"),
        (ask("fraud", Which::Alias("champion".into())), "ALIAS_NOT_FOUND"),
        (ask("churn", Which::Alias("champion".into())), "MODEL_NOT_FOUND"),
    ] {
        let problem = Problem::from(bench.client().get_model_version(request).await.unwrap_err());
        assert_eq!((problem.code, &*problem.reason), (ErrorCode::NotFound, reason));
    }
}

#[tokio::test]
async fn versions_survive_a_restart() {
    let bench = Bench::new().await;
    let version = bench.passed("trees").await;
    let again = gristmill_registry::Registry::open(&bench.deps, &Default::default()).await.unwrap();
    assert_eq!(again.version(&bench.project(), &name("fraud"), 1).await.unwrap(), version);
}
