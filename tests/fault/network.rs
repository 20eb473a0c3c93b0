//! Rows 21, 22, 32, 33: partitions, delays, a collector that does not answer, and a watch that is interrupted.

use std::time::{Duration, Instant};

use gristmill_proto::training::{GetStudyJobRequest, WatchStudyJobRequest};
use gristmill_tests::free;
use tonic::{Code, Request};

use crate::flour::{Flour, client};
use crate::mill::Mill;
use crate::proxy::{Fault, Proxy, Way};
use crate::{PATIENCE, runtime, until};

/// A worker is cut off while it works, another does its trial, and it comes back.
fn part_a_worker(part: impl FnOnce(&Proxy)) {
    let Some(mut mill) = Mill::new() else { return };
    mill.work("far");
    let id = mill.submit("r", &Flour::shared().spec);
    let trial = mill.catch_at_work("far");
    let far = mill.recorded("far");
    part(&mill.to_stage);
    mill.worker("far").signal("CONT");
    mill.work("near");
    let condition = format!("job = '{trial}' and worker = '{far}' and outcome = 'lost'");
    until("its lease is taken", || mill.count("attempt", &condition) == 1);
    assert!(mill.to_stage.fired() > 0);
    mill.to_stage.set(Fault::None);
    let history = mill.judge_study(&id);
    let done_by = history.attempts.iter().find(|attempt| attempt.job == trial && attempt.outcome == "succeeded");
    assert!(done_by.is_some_and(|attempt| attempt.fence > 1), "{history:#?}");
    let (code, log) = mill.take_worker("far").end();
    assert_eq!(code, 0, "{log}");
}

#[test]
fn a_worker_behind_a_partition_is_replaced() {
    part_a_worker(|proxy| proxy.set(Fault::BlackHole(vec![Way::ToServer, Way::ToClient])));
}

#[test]
fn a_worker_that_is_not_heard_is_replaced() {
    part_a_worker(|proxy| proxy.set(Fault::BlackHole(vec![Way::ToServer])));
}

#[test]
fn a_worker_that_hears_nothing_is_replaced() {
    part_a_worker(|proxy| proxy.set(Fault::BlackHole(vec![Way::ToClient])));
}

#[test]
fn a_connection_that_is_cut_again_and_again_costs_no_attempt() {
    let Some(mut mill) = Mill::new() else { return };
    mill.work("far");
    let id = mill.submit("r", &Flour::shared().spec);
    for bytes in [0, 1, 40] {
        mill.wait_at_work("far");
        for way in [Way::ToServer, Way::ToClient] {
            let fired = mill.to_stage.fired();
            mill.to_stage.set(Fault::CutAfter { way, bytes });
            until("the connection is cut", || mill.to_stage.fired() > fired);
        }
    }
    let history = mill.judge_study(&id);
    assert!(mill.to_stage.fired() >= 6 && history.count("failed") == 0, "{history:#?}");
}

#[test]
fn a_call_whose_answer_comes_too_late_ends_at_its_deadline() {
    let Some(mut mill) = Mill::new() else { return };
    mill.work("far");
    let id = mill.submit("r", &Flour::shared().spec);
    let mut client = client(&format!("http://{}", mill.to_stage.address()));
    let ask = || GetStudyJobRequest { id: id.clone(), ..Default::default() };
    runtime().block_on(client.get_study_job(ask())).unwrap();
    mill.to_stage.set(Fault::Delay(Duration::from_millis(150)));
    let mut request = Request::new(ask());
    request.set_timeout(Duration::from_millis(100));
    let late = runtime().block_on(client.get_study_job(request)).unwrap_err();
    // tonic's client says Cancelled where its own timer, and not the server's, has ended the call.
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late:?}");
    assert!(mill.to_stage.fired() > 0);
    // Slow is not dead: the worker behind the same delay goes on.
    let history = mill.judge_study(&id);
    assert_eq!(history.count("lost"), 0, "{history:#?}");
}

#[test]
fn a_watch_goes_on_where_it_was_cut() {
    let Some(mut mill) = Mill::new() else { return };
    mill.work("near");
    let id = mill.submit("r", &Flour::shared().spec);
    let through = format!("http://{}", mill.to_stage.address());
    let mut seen: Vec<(i64, String)> = Vec::new();
    let begin = Instant::now();
    let mut cuts = 0;
    while seen.last().is_none_or(|last| !crate::history::TERMINAL.contains(&last.1.as_str())) {
        assert!(begin.elapsed() < PATIENCE, "{seen:?}");
        let after_sequence = seen.last().map_or(0, |last| last.0);
        let request = WatchStudyJobRequest { id: id.clone(), after_sequence, ..Default::default() };
        let mut client = client(&through);
        runtime().block_on(async {
            let Ok(answer) = client.watch_study_job(request).await else { return };
            let mut events = answer.into_inner();
            while let Ok(Some(item)) = events.message().await {
                let event = item.event.unwrap();
                // Progress has no number of its own: it carries that of the latest event.
                if event.progress.is_none() {
                    seen.push((event.sequence, event.kind));
                }
                if cuts < 3 {
                    cuts += 1;
                    mill.to_stage.cut();
                }
            }
        });
    }
    let history = mill.judge_study(&id);
    let recorded = history.events.iter().filter(|event| event.job == id);
    let recorded: Vec<_> = recorded.map(|event| (event.sequence, event.kind.clone())).collect();
    assert_eq!(seen, recorded, "nothing twice and nothing left out");
    assert!(cuts == 3 && mill.to_stage.fired() >= 3);
}

#[test]
fn a_collector_that_does_not_answer_disturbs_nothing() {
    let Some(mut mill) = Mill::new() else { return };
    let collector = Proxy::to(free());
    collector.set(Fault::BlackHole(vec![Way::ToServer, Way::ToClient]));
    let telemetry = format!("telemetry.endpoint=http://{}", collector.address());
    mill.stage("one").kill();
    mill.serve("one", &[&telemetry]);
    mill.wait_ready("one");
    mill.work_with("near", &[&telemetry], &[]);
    let id = mill.submit("r", &Flour::shared().spec);
    mill.judge_study(&id);
    until("somebody has tried to reach the collector", || collector.fired() > 0);
    let (code, log) = mill.take_worker("near").end();
    assert_eq!(code, 0, "{log}");
}
