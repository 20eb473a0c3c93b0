//! Rows 17, 18, 19: an object store that fails, answers too late, loses its answers or damages them.

use gristmill_s3server::WireFault;
use http::Method;

use crate::flour::Flour;
use crate::mill::Mill;
use crate::until;

/// A study on an object store where every one of `faults` happens so many times.
fn study_with(faults: &[(Method, WireFault, usize)]) {
    let Some(mut mill) = Mill::with_bucket() else { return };
    let fired = |mill: &Mill| mill.bucket.as_ref().unwrap().fired();
    let planned: usize = faults.iter().map(|fault| fault.2).sum();
    mill.work("near");
    let id = mill.submit("r", &Flour::shared().spec);
    mill.catch_at_work("near");
    for (method, fault, times) in faults {
        mill.bucket.as_ref().unwrap().inject(method.clone(), *fault, *times);
    }
    // One that has not read anything yet; the other has yet to write.
    mill.work("second");
    mill.wait_at_work("second");
    mill.worker("near").signal("CONT");
    let over = "kind = 'study' and state not in ('queued', 'running')";
    until("every fault has happened", || fired(&mill) == planned || mill.count("job", over) == 1);
    assert_eq!(fired(&mill), planned, "before the study was over");
    mill.judge_study(&id);
}

#[test]
fn a_store_that_fails_is_asked_again() {
    study_with(&[
        (Method::GET, WireFault::Status(503), 2),
        (Method::PUT, WireFault::Status(500), 2),
        (Method::HEAD, WireFault::Status(503), 1),
    ]);
}

#[test]
fn a_store_that_never_answers_is_left_and_asked_again() {
    study_with(&[(Method::GET, WireFault::Stall, 1), (Method::PUT, WireFault::Stall, 1)]);
}

#[test]
fn answers_that_are_lost_and_conflicts_that_mean_nothing_make_no_second_artifact() {
    study_with(&[
        (Method::PUT, WireFault::LoseReply, 2),
        (Method::PUT, WireFault::Status(409), 1),
        (Method::PUT, WireFault::Status(412), 1),
    ]);
}

#[test]
fn damaged_bytes_make_no_wrong_model() {
    study_with(&[(Method::GET, WireFault::CutBody, 2), (Method::GET, WireFault::FlipBit, 1)]);
}
