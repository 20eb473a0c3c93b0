//! Rows 2, 9, 10, 24, 30: the stage itself is killed, its answers are lost, there are two of it, and too many ask it.

use std::collections::BTreeSet;
use std::time::Duration;

use gristmill_proto::training::{CreateStudyJobRequest, ListStudyJobsRequest};
use tonic::Code;

use crate::flour::{Flour, client};
use crate::mill::Mill;
use crate::proxy::{Fault, Proxy, Way};
use crate::{runtime, until};

#[test]
fn a_killed_stage_comes_back_and_nothing_is_forgotten() {
    let Some(mut mill) = Mill::new() else { return };
    mill.work("near");
    let spec = &Flour::shared().spec;
    let id = mill.submit("r", spec);
    for _ in 0..2 {
        mill.catch_at_work("near");
        mill.stage("one").kill();
        mill.serve("one", &[]);
        mill.wait_ready("one");
        mill.worker("near").signal("CONT");
        assert_eq!(mill.submit("r", spec), id, "the same request is the same job");
    }
    let history = mill.judge_study(&id);
    let of_study = history.attempts.iter().filter(|attempt| attempt.job == id).count();
    assert!(of_study >= 2, "it was killed while the study ran: {history:#?}");
}

/// A study is recorded and its acknowledgement does not arrive; the client asks again.
fn lose_an_acknowledgement(lose: impl FnOnce(&Proxy)) {
    let Some(mut mill) = Mill::new() else { return };
    let spec = &Flour::shared().spec;
    let mut client = client(&format!("http://{}", mill.to_stage.address()));
    // Something is answered: the connection stands.
    runtime().block_on(client.list_study_jobs(ListStudyJobsRequest::default())).unwrap();
    mill.to_stage.set(Fault::BlackHole(vec![Way::ToClient]));
    let asked = CreateStudyJobRequest { request_id: "r".into(), spec: Some(spec.clone()), ..Default::default() };
    let asking = runtime().spawn(async move { client.create_study_job(asked).await });
    until("the job is recorded", || mill.count("request", "request_id = 'r'") == 1);
    until("its answer is held", || mill.to_stage.fired() > 0);
    lose(&mill.to_stage);
    mill.to_stage.set(Fault::None);
    let id = mill.submit("r", spec);
    assert_eq!(mill.submit("r", spec), id, "and again, as a proxy that repeats requests would");
    asking.abort();
    assert!(!matches!(runtime().block_on(asking), Ok(Ok(_))), "the first was never acknowledged");
    assert_eq!(mill.count("job", "kind = 'study'"), 1);
    mill.work("near");
    mill.judge_study(&id);
}

#[test]
fn an_acknowledgement_whose_connection_is_cut_is_asked_for_again() {
    lose_an_acknowledgement(Proxy::cut);
}

#[test]
fn an_acknowledgement_that_never_comes_is_asked_for_again() {
    lose_an_acknowledgement(Proxy::half_open);
}

#[test]
fn two_replicas_take_each_lease_once() {
    let Some(mut mill) = Mill::new() else { return };
    mill.serve("two", &[]);
    mill.wait_ready("two");
    let spec = &Flour::shared().spec;
    let id = mill.submit("r", spec);
    // The same request at the same time at the other door.
    assert_eq!(mill.try_submit("two", "r", spec).unwrap(), id);
    for _ in 0..2 {
        mill.work("dies");
        let trial = mill.catch_at_work("dies");
        let dead = mill.recorded("dies");
        mill.take_worker("dies").kill();
        let condition = format!("job = '{trial}' and worker = '{dead}' and outcome = 'lost'");
        until("the lease of the dead is taken", || mill.count("attempt", &condition) == 1);
    }
    // Now without the replica that the workers know.
    mill.work("near");
    mill.catch_at_work("near");
    mill.stage("one").kill();
    mill.worker("near").signal("CONT");
    assert_eq!(mill.try_submit("two", "r", spec).unwrap(), id);
    mill.serve("one", &[]);
    mill.wait_ready("one");
    let history = mill.judge_study(&id);
    assert!(history.count("lost") >= 2, "{history:#?}");
}

#[test]
fn too_many_at_once_are_refused_and_lose_nothing() {
    const CALLERS: usize = 150;
    let Some(mut mill) = Mill::new() else { return };
    mill.stage("one").kill();
    mill.serve("one", &["server.max_calls=6"]);
    mill.wait_ready("one");
    let spec = &Flour::shared().spec;
    // Slow at the database, so that calls stand side by side.
    mill.to_database.set(Fault::Delay(Duration::from_millis(5)));
    let endpoint = mill.endpoint("one");
    let callers: Vec<_> = (0..CALLERS)
        .map(|n| {
            let (mut client, spec) = (client(&endpoint), spec.clone());
            let request = format!("r{n}");
            let asked = CreateStudyJobRequest { request_id: request.clone(), spec: Some(spec), ..Default::default() };
            runtime().spawn(async move { (request, client.create_study_job(asked).await) })
        })
        .collect();
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for caller in callers {
        let (request, answer) = runtime().block_on(caller).unwrap();
        match answer {
            Ok(_) => taken.push(request),
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                refused.push(request);
            }
        }
    }
    assert!(!taken.is_empty() && !refused.is_empty(), "{} of {CALLERS} were refused", refused.len());
    let of_studies = "job in (select id from training.job where kind = 'study')";
    assert_eq!(mill.count("request", of_studies), taken.len(), "a refusal leaves nothing");
    mill.to_database.set(Fault::None);
    let ids: BTreeSet<String> = taken.iter().chain(&refused).map(|request| mill.submit(request, spec)).collect();
    assert_eq!(ids.len(), 1, "equal studies are one");
    mill.work("near");
    mill.judge_study(ids.first().unwrap());
}
