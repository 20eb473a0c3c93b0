//! Models follow their aliases, and a bad version never takes a good one's place.

use std::sync::atomic::{AtomicBool, Ordering};

use gristmill_proto::serving::create_deployment_request::Which;
use gristmill_proto::serving::{CreateDeploymentRequest, DeleteDeploymentRequest};
use gristmill_serving::ServingConfig;
use tonic::Code;

use super::world::{ROWS, World, expected, message};

async fn served(world: &World) -> f64 {
    let (status, answer) = world.post("/v1/models/taxi:predict", ROWS).await;
    assert_eq!(status, 200, "{answer}");
    answer["predictions"][0]["probability"]["true"].as_f64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_moves_without_a_failed_request() {
    let world = World::serving_taxi().await;
    let second = world.register("taxi", -2.0).await;
    let moved = AtomicBool::new(false);
    let asking = async {
        let mut answers = Vec::new();
        while !moved.load(Ordering::SeqCst) {
            answers.push(served(&world).await);
        }
        answers
    };
    let moving = async {
        world.registry.set("taxi", "champion", second);
        world.until(|taxi| taxi.is_some_and(|taxi| taxi.version == second)).await;
        moved.store(true, Ordering::SeqCst);
    };
    let (answers, ()) = tokio::join!(asking, moving);
    let (before, after) = (expected(1.5)[0], expected(-2.0)[0]);
    assert!(answers.iter().all(|answer| *answer == before || *answer == after));
    assert_eq!(served(&world).await, after);
    world.registry.set("taxi", "challenger", 1);
    world.registry.set("taxi", "champion", 0);
    world.until(|taxi| taxi.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_reproduce_its_example_is_not_served() {
    let world = World::serving_taxi().await;
    let mut wrong = message(3.0);
    let outputs = &mut wrong.example.as_mut().unwrap().rows[0].outputs;
    outputs[0] = f64::from_bits(outputs[0].to_bits() ^ 1);
    let artifact = world.store(wrong).await;
    let version = world.registry.register("taxi", artifact);
    world.registry.set("taxi", "champion", version);
    let taxi = world.until(|taxi| taxi.is_some_and(|taxi| !taxi.error.is_empty())).await.unwrap();
    assert_eq!((taxi.version, taxi.ready), (1, true));
    assert!(taxi.error.contains("does not reproduce row 0"), "{}", taxi.error);
    assert_eq!(served(&world).await, expected(1.5)[0]);
    let third = world.register("taxi", 0.25).await;
    world.registry.set("taxi", "champion", third);
    let taxi = world.until(|taxi| taxi.is_some_and(|taxi| taxi.version == third)).await.unwrap();
    assert_eq!(taxi.error, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_are_asked_for_remembered_and_deleted() {
    let world = World::serving_taxi().await;
    world.register("taxi", 4.0).await;
    let deploy = |which| CreateDeploymentRequest { name: "taxi".into(), which: Some(which), ..Default::default() };
    let deployed = world.deployments().create_deployment(deploy(Which::Version(2))).await.unwrap().into_inner();
    assert_eq!(deployed.deployment.unwrap().version, 2);
    assert_eq!(served(&world).await, expected(4.0)[0]);
    let refused = world.deployments().create_deployment(deploy(Which::Version(9))).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(served(&world).await, expected(4.0)[0]);

    // A second process over the same data serves the version that was asked for, whatever the champion is.
    let World { sandbox, registry, .. } = world;
    let world = World::with(sandbox, registry, &ServingConfig::default()).await;
    world.until(|taxi| taxi.is_some_and(|taxi| taxi.version == 2)).await;
    let delete = || DeleteDeploymentRequest { name: "taxi".into(), ..Default::default() };
    world.deployments().delete_deployment(delete()).await.unwrap();
    assert_eq!(world.post("/v1/models/taxi:predict", ROWS).await.0, 404);
    assert_eq!(world.deployments().delete_deployment(delete()).await.unwrap_err().code(), Code::NotFound);
    let nothing = CreateDeploymentRequest { name: "taxi".into(), ..Default::default() };
    assert_eq!(world.deployments().create_deployment(nothing).await.unwrap_err().code(), Code::InvalidArgument);
}
