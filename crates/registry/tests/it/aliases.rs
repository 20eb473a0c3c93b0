//! Aliases move by compare-and-swap and under the promotion rule.

use gristmill_proto::registry as message;
use gristmill_registry::{AliasChange, Expected, NewVersion, RegistryError, Status, Verdict, VersionChange};
use gristmill_rpc::Problem;
use gristmill_types::{ErrorCode, Project};

use super::bench::{Bench, name};

fn set(to: Option<u32>, expected: Expected) -> AliasChange {
    AliasChange {
        name: name("fraud"),
        alias: name("champion"),
        to,
        expected,
        reason: String::new(),
        override_verdict: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_has_one_winner() {
    let bench = Bench::new().await;
    for number in 0..21 {
        bench.passed(&format!("trees {number}")).await;
    }
    bench.registry.move_alias(&bench.project(), &set(Some(1), Expected::At(None)), "ana").await.unwrap();
    let mut tasks = Vec::new();
    for to in 2..=21 {
        let registry = bench.registry.clone();
        let change = set(Some(to), Expected::At(Some(1)));
        tasks.push(tokio::spawn(async move { registry.move_alias(&Project::default(), &change, "ana").await }));
    }
    let mut winners = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(moved) => winners.push(moved.to),
            Err(error) => {
                assert_eq!((error.code(), error.reason()), (ErrorCode::Aborted, "ALIAS_MOVED"));
            }
        }
    }
    assert_eq!(winners.len(), 1);
    let standing = bench.registry.version_at(&bench.project(), &name("fraud"), &name("champion")).await.unwrap();
    assert_eq!(Some(standing.version), winners[0]);
    assert_eq!(standing.aliases, [name("champion")]);
    let moves = bench.registry.moves(&bench.project(), (&name("fraud"), None), 0, "").await.unwrap();
    assert_eq!(moves.entries.len(), 2);
}

#[tokio::test]
async fn a_version_without_a_passed_verdict_needs_an_override_with_a_reason() {
    let bench = Bench::new().await;
    let model = bench.model("trees", &[]).await;
    let evaluation = Some(bench.evaluation(model, "refused").await);
    for new in [NewVersion::of(name("fraud"), model), NewVersion { evaluation, ..NewVersion::of(name("fraud"), model) }]
    {
        bench.registry.register(&bench.project(), &new, None, "ana").await.unwrap();
    }
    let mut client = bench.client();
    let request = |version, override_verdict, reason: &str| message::SetModelAliasRequest {
        name: "fraud".into(),
        alias: "champion".into(),
        version,
        reason: reason.into(),
        override_verdict,
        ..Default::default()
    };
    for version in [1, 2] {
        let problem = Problem::from(client.set_model_alias(request(version, false, "please")).await.unwrap_err());
        assert_eq!((problem.code, &*problem.reason), (ErrorCode::FailedPrecondition, "VERDICT_NOT_PASSED"));
    }
    let problem = Problem::from(client.set_model_alias(request(2, true, " ")).await.unwrap_err());
    assert_eq!((problem.code, problem.violations[0].field.as_str()), (ErrorCode::InvalidArgument, "reason"));
    let moved = client.set_model_alias(request(2, true, "incident 12")).await.unwrap().into_inner().r#move.unwrap();
    assert_eq!(
        (moved.by.as_str(), moved.reason.as_str(), moved.verdict.as_str(), moved.from_version, moved.to_version),
        ("ana", "incident 12", "refused", 0, 2)
    );
}

#[tokio::test]
async fn history_says_who_when_why_and_on_what_verdict() {
    let bench = Bench::new().await;
    for number in 0..3 {
        bench.passed(&format!("trees {number}")).await;
    }
    let registry = &bench.registry;
    let project = bench.project();
    for (to, by) in [(Some(1), "ana"), (Some(2), "ben"), (None, "ana"), (Some(3), "cem")] {
        let change = AliasChange { reason: format!("because of {by}"), ..set(to, Expected::Any) };
        registry.move_alias(&project, &change, by).await.unwrap();
    }
    let other = AliasChange { alias: name("canary"), ..set(Some(3), Expected::At(None)) };
    registry.move_alias(&project, &other, "ana").await.unwrap();

    let first = registry.moves(&project, (&name("fraud"), Some(&name("champion"))), 3, "").await.unwrap();
    let rest = registry.moves(&project, (&name("fraud"), Some(&name("champion"))), 3, &first.next).await.unwrap();
    let all: Vec<_> = first.entries.iter().chain(&rest.entries).collect();
    let told: Vec<_> = all.iter().map(|m| (m.from, m.to, m.by.as_str(), m.verdict)).collect();
    assert_eq!(
        told,
        [
            (None, Some(3), "cem", Some(Verdict::Passed)),
            (Some(2), None, "ana", None),
            (Some(1), Some(2), "ben", Some(Verdict::Passed)),
            (None, Some(1), "ana", Some(Verdict::Passed)),
        ]
    );
    assert!(all.windows(2).all(|pair| pair[0].sequence > pair[1].sequence && pair[0].at >= pair[1].at));
    assert_eq!(all[2].reason, "because of ben");
    assert_eq!(rest.next, "");
    let version = registry.version(&project, &name("fraud"), 3).await.unwrap();
    assert_eq!(version.aliases, [name("canary"), name("champion")]);
}

#[tokio::test]
async fn a_move_whose_answer_was_lost_is_answered_again() {
    let bench = Bench::new().await;
    bench.passed("one").await;
    bench.passed("two").await;
    let registry = &bench.registry;
    let project = bench.project();
    registry.move_alias(&project, &set(Some(1), Expected::At(None)), "ana").await.unwrap();
    let change = set(Some(2), Expected::At(Some(1)));
    let first = registry.move_alias(&project, &change, "ana").await.unwrap();
    assert_eq!(registry.move_alias(&project, &change, "ana").await.unwrap(), first);
    // Somebody else's wish is not this one, although it has the same target.
    let other = registry.move_alias(&project, &change, "ben").await.unwrap_err();
    assert!(matches!(other, RegistryError::AliasMoved { found: Some(2), .. }), "{other:?}");
    assert_eq!(registry.moves(&project, (&name("fraud"), None), 0, "").await.unwrap().entries.len(), 2);
}

#[tokio::test]
async fn moves_to_nowhere_are_refused() {
    let bench = Bench::new().await;
    bench.passed("one").await;
    let registry = &bench.registry;
    let project = bench.project();
    let codes = |change: AliasChange| {
        let project = project.clone();
        async move { registry.move_alias(&project, &change, "ana").await.unwrap_err().reason() }
    };
    assert_eq!(codes(set(Some(7), Expected::Any)).await, "VERSION_NOT_FOUND");
    assert_eq!(codes(set(None, Expected::Any)).await, "ALIAS_NOT_FOUND");
    assert_eq!(codes(set(Some(1), Expected::At(Some(3)))).await, "ALIAS_MOVED");
    assert_eq!(codes(AliasChange { name: name("churn"), ..set(Some(1), Expected::Any) }).await, "MODEL_NOT_FOUND");
    let retire = VersionChange { status: Some(Status::Retired), ..VersionChange::default() };
    let retired = registry.update(&project, (&name("fraud"), 1), &retire, "ana").await.unwrap();
    assert_eq!(retired.status, Status::Retired);
    assert_eq!(codes(set(Some(1), Expected::Any)).await, "VERSION_RETIRED");
}

#[tokio::test]
async fn only_who_may_promote_moves_an_alias() {
    let bench = Bench::new().await;
    let hash = |token: &str| gristmill_rpc::auth::token_hash(token);
    let file = format!(
        "tokens:\n\
         - {{name: ana, sha256: {}, projects: {{default: [data-scientist]}}}}\n\
         - {{name: ben, sha256: {}, projects: {{default: [ml-engineer]}}}}\n\
         - {{name: cem, sha256: {}, projects: {{other: [admin]}}}}\n",
        hash("a"),
        hash("b"),
        hash("c")
    );
    let model = bench.model("trees", &[]).await;
    let create = super::bench::create("fraud", model);
    let promote = message::SetModelAliasRequest {
        name: "fraud".into(),
        alias: "champion".into(),
        version: 1,
        reason: "first one".into(),
        override_verdict: true,
        ..Default::default()
    };
    let mut ana = bench.client_of(&file, "ana");
    let mut cem = bench.client_of(&file, "cem");
    let created = ana.create_model_version(create.clone()).await.unwrap().into_inner().version.unwrap();
    assert_eq!(created.created_by, "ana");
    for refused in [
        ana.set_model_alias(promote.clone()).await.unwrap_err(),
        cem.set_model_alias(promote.clone()).await.unwrap_err(),
        cem.create_model_version(create).await.unwrap_err(),
    ] {
        let problem = Problem::from(refused);
        assert_eq!((problem.code, &*problem.reason), (ErrorCode::PermissionDenied, "NOT_PERMITTED"));
    }
    let moved = bench.client_of(&file, "ben").set_model_alias(promote).await.unwrap().into_inner().r#move.unwrap();
    assert_eq!(moved.by, "ben");
}
