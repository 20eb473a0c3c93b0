//! Rows 1, 3, 5, 6, 8: workers that are killed, stopped, told to go, gone altogether, and told to stop.

use gristmill_proto::job::JobState;
use gristmill_proto::training::{CancelStudyJobRequest, GetStudyJobRequest};

use crate::flour::{Flour, client};
use crate::mill::Mill;
use crate::{runtime, until};

#[test]
fn killed_workers_cost_time_and_nothing_else() {
    let Some(mut mill) = Mill::new() else { return };
    mill.work("a");
    mill.work("b");
    let id = mill.submit("r", &Flour::shared().spec);
    let mut taken = Vec::new();
    for worker in ["a", "b"] {
        taken.push((mill.catch_at_work(worker), mill.recorded(worker)));
        mill.take_worker(worker).kill();
        mill.work(worker);
    }
    let history = mill.judge_study(&id);
    for (trial, worker) in taken {
        let outcomes: Vec<&str> = history
            .attempts
            .iter()
            .filter(|attempt| attempt.job == trial && attempt.worker == worker)
            .map(|attempt| attempt.outcome.as_str())
            .collect();
        assert_eq!(outcomes, ["lost"], "killed while it worked: {history:#?}");
    }
}

#[test]
fn a_worker_that_slept_through_its_lease_is_refused() {
    let Some(mut mill) = Mill::new() else { return };
    mill.work("sleeper");
    let id = mill.submit("r", &Flour::shared().spec);
    let trial = mill.catch_at_work("sleeper");
    let sleeper = mill.recorded("sleeper");
    let condition = format!("job = '{trial}' and worker = '{sleeper}' and outcome = 'lost'");
    until("the sleeper's lease is taken", || mill.count("attempt", &condition) == 1);
    mill.work("other");
    let condition = format!("id = '{trial}' and state = 'succeeded'");
    until("somebody else has done its trial", || mill.count("job", &condition) == 1);
    mill.worker("sleeper").signal("CONT");

    let history = mill.judge_study(&id);
    let of_trial: Vec<_> = history.attempts.iter().filter(|attempt| attempt.job == trial).collect();
    assert_eq!(of_trial.len(), 2, "{of_trial:?}");
    assert!(of_trial[1].outcome == "succeeded" && of_trial[1].worker != sleeper, "{of_trial:?}");
    // It ends on request, so it has got over it; and it was told.
    let (code, log) = mill.take_worker("sleeper").end();
    assert!(code == 0 && log.contains("lease lost, the attempt is dropped"), "{code} {log}");
}

#[test]
fn a_worker_that_is_told_to_go_gives_its_trial_back() {
    let Some(mut mill) = Mill::new() else { return };
    mill.work("goer");
    let id = mill.submit("r", &Flour::shared().spec);
    let trial = mill.catch_at_work("goer");
    let goer = mill.recorded("goer");
    // Both wait for it when it goes on.
    mill.worker("goer").signal("TERM");
    mill.worker("goer").signal("CONT");
    let (code, log) = mill.take_worker("goer").ended();
    assert_eq!(code, 0, "{log}");
    // At once, not when the lease runs out.
    let released = format!("job = '{trial}' and worker = '{goer}' and outcome = 'released'");
    assert_eq!(mill.count("attempt", &released), 1, "{log}");
    assert_eq!(mill.count("job", &format!("id = '{trial}' and state = 'queued' and tries = 0")), 1, "not burnt");
    mill.work("other");
    let history = mill.judge_study(&id);
    assert_eq!((history.count("released"), history.count("lost")), (1, 0), "{history:#?}");
}

#[test]
fn without_workers_work_waits_and_is_done_once_there_are_some() {
    let Some(mut mill) = Mill::new() else { return };
    mill.work("a");
    mill.work("b");
    let id = mill.submit("r", &Flour::shared().spec);
    for worker in ["a", "b"] {
        mill.catch_at_work(worker);
    }
    for worker in ["a", "b"] {
        mill.take_worker(worker).kill();
    }
    let waiting = "kind = 'trial' and state in ('running', 'succeeded')";
    until("everything waits", || {
        mill.count("job", waiting) == mill.count("job", "kind = 'trial' and state = 'succeeded'")
    });
    let request = GetStudyJobRequest { id: id.clone(), ..Default::default() };
    let study = runtime().block_on(client(&mill.endpoint("one")).get_study_job(request)).unwrap().into_inner();
    assert_eq!(
        study.job.unwrap().job.unwrap().state(),
        JobState::Running,
        "it hangs on its trials and on nothing else"
    );
    mill.work("c");
    let history = mill.judge_study(&id);
    assert_eq!(history.count("lost"), 2, "{history:#?}");
}

#[test]
fn a_cancelled_study_ends_whatever_happens_to_its_workers() {
    let Some(mut mill) = Mill::new() else { return };
    mill.work("lives");
    mill.work("dies");
    let id = mill.submit("r", &Flour::shared().spec);
    mill.wait_at_work("lives");
    mill.catch_at_work("dies");
    let request = CancelStudyJobRequest { id: id.clone(), ..Default::default() };
    runtime().block_on(client(&mill.endpoint("one")).cancel_study_job(request.clone())).unwrap();
    let (state, outcome) = mill.finished(&id);
    assert_eq!((state, outcome), (JobState::Cancelled, None));
    // The living one lets go within its next heartbeats; the other's trial ends with its lease.
    until("its trials have ended", || mill.count("job", "state in ('queued', 'running')") == 0);
    let history = mill.judge();
    let trials = history.jobs.values().filter(|job| job.kind == "trial");
    assert!(trials.clone().all(|job| job.state != "failed") && trials.clone().any(|job| job.state == "cancelled"));
    mill.worker("dies").signal("CONT");
    let (code, log) = mill.take_worker("dies").end();
    assert_eq!(code, 0, "{log}");
    // Too late is answered as what it is.
    let again = runtime().block_on(client(&mill.endpoint("one")).cancel_study_job(request));
    assert!(again.is_ok_and(|answer| { answer.into_inner().job.unwrap().job.unwrap().state() == JobState::Cancelled }));
    mill.judge();
}
