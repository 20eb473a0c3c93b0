//! Lineage in both directions, and what it keeps.

use gristmill_proto::registry as message;
use gristmill_registry::NewVersion;
use gristmill_rpc::Problem;
use gristmill_store::RootProvider;
use gristmill_types::{ArtifactKind, ArtifactRef, Digest, ErrorCode};

use super::bench::{Bench, name};

struct Family {
    source: ArtifactRef,
    weather: ArtifactRef,
    dataset: ArtifactRef,
    train: ArtifactRef,
    model: ArtifactRef,
}

async fn family(bench: &Bench) -> Family {
    let source = bench.artifact(ArtifactKind::Source, "flights", &[]).await;
    let weather = bench.artifact(ArtifactKind::Source, "weather", &[]).await;
    let dataset = bench.artifact(ArtifactKind::Dataset, "joined", &[source, weather]).await;
    let train = bench.artifact(ArtifactKind::Prepared, "train", &[dataset]).await;
    let transform = bench.artifact(ArtifactKind::Transform, "transform", &[dataset]).await;
    let model = bench.model("trees", &[train, transform]).await;
    Family { source, weather, dataset, train, model }
}

async fn ask(bench: &Bench, artifact: ArtifactRef) -> message::GetLineageResponse {
    let request = message::GetLineageRequest { artifact: Some(artifact.into()), ..Default::default() };
    bench.client().get_lineage(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn from_model_to_sources_and_back() {
    let bench = Bench::new().await;
    let family = family(&bench).await;
    let other = bench.model("other trees", &[family.weather]).await;
    let project = bench.project();
    for new in [
        NewVersion::of(name("delay"), family.model),
        NewVersion::of(name("delay"), other),
        NewVersion::of(name("churn"), other),
    ] {
        bench.registry.register(&project, &new, None, "ana").await.unwrap();
    }
    let lineage = ask(&bench, family.model).await;
    assert_eq!(lineage.ancestors.len(), 6, "every ancestor once");
    assert_eq!(lineage.ancestors[0].artifact, Some(family.model.into()));
    let dataset = lineage.ancestors.iter().find(|node| node.artifact == Some(family.dataset.into())).unwrap();
    let mut inputs = vec![family.source, family.weather];
    inputs.sort();
    assert_eq!(dataset.inputs, inputs.into_iter().map(Into::into).collect::<Vec<_>>());
    assert_eq!(dataset.stage, "test");
    let versions = |lineage: message::GetLineageResponse| -> Vec<(String, u32)> {
        lineage.versions.into_iter().map(|version| (version.name, version.version)).collect()
    };
    assert_eq!(versions(lineage), [("delay".to_owned(), 1)]);
    assert_eq!(versions(ask(&bench, family.source).await), [("delay".to_owned(), 1)]);
    assert_eq!(
        versions(ask(&bench, family.weather).await),
        [("churn".to_owned(), 1), ("delay".to_owned(), 2), ("delay".to_owned(), 1)]
    );
    assert!(ask(&bench, family.source).await.ancestors[0].inputs.is_empty());

    let nowhere = ArtifactRef { kind: ArtifactKind::Dataset, digest: Digest::of(b"nowhere") };
    let request = message::GetLineageRequest { artifact: Some(nowhere.into()), ..Default::default() };
    let problem = Problem::from(bench.client().get_lineage(request).await.unwrap_err());
    assert_eq!(problem.code, ErrorCode::FailedPrecondition);
}

#[tokio::test]
async fn a_collected_ancestor_is_shown_as_unknown() {
    let bench = Bench::new().await;
    let family = family(&bench).await;
    bench.collect(family.dataset);
    let lineage = ask(&bench, family.model).await;
    let dataset = lineage.ancestors.iter().find(|node| node.artifact == Some(family.dataset.into())).unwrap();
    assert_eq!((dataset.stage.as_str(), dataset.inputs.len()), ("", 0));
}

#[tokio::test]
async fn versions_hold_their_artifacts() {
    let bench = Bench::new().await;
    let family = family(&bench).await;
    let evaluation = bench.evaluation(family.model, "passed").await;
    let new = NewVersion {
        evaluation: Some(evaluation),
        seen: vec![family.train],
        ..NewVersion::of(name("delay"), family.model)
    };
    bench.registry.register(&bench.project(), &new, None, "ana").await.unwrap();
    let roots = bench.registry.roots(&bench.project()).await.unwrap();
    let mut expected = vec![family.model.digest, evaluation.digest, family.train.digest];
    expected.sort();
    assert_eq!((roots.artifacts, roots.pins.len()), (expected, 0));

    let garbage = bench.model("trees of a failed run", &[family.train]).await;
    bench.clock.advance(48 * 3_600_000_000);
    let report = bench.deps.store.sweep(&bench.project(), &[&bench.registry], false).await.unwrap();
    assert_eq!(report.deleted, 2, "the manifest of the garbage and its part");
    assert!(!bench.store().exists(&garbage).await.unwrap());
    for artifact in [family.source, family.weather, family.dataset, family.train, family.model, evaluation] {
        bench.store().verify(&artifact).await.unwrap();
    }
}
