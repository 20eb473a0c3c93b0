//! The checker finds what is wrong in histories that are made wrong by hand, each in one way.

use crate::check::{check, stored};
use crate::history::{Attempt, Event, History, Job};

/// One job that was lost once and then succeeded, and one that was cancelled while it waited.
fn sound() -> History {
    let event = |job: &str, sequence, fence, kind: &str, state: &str| Event {
        job: job.into(),
        sequence,
        fence,
        kind: kind.into(),
        state: state.into(),
    };
    let attempt =
        |fence, outcome: &str| Attempt { job: "a".into(), fence, worker: "w".into(), outcome: outcome.into() };
    let job = |state: &str, fence, sequence, outputs: &[&str]| Job {
        kind: "trial".into(),
        state: state.into(),
        fence,
        sequence,
        outputs: outputs.iter().map(ToString::to_string).collect(),
    };
    let events = vec![
        event("a", 1, 0, "submitted", "queued"),
        event("a", 2, 1, "claimed", "running"),
        event("a", 3, 1, "lost", "queued"),
        event("a", 4, 2, "claimed", "running"),
        event("a", 5, 2, "succeeded", "succeeded"),
        event("b", 1, 0, "submitted", "queued"),
        event("b", 2, 0, "cancelled", "cancelled"),
    ];
    History {
        acknowledged: vec![("ra".into(), "a".into()), ("rb".into(), "b".into()), ("ra".into(), "a".into())],
        told: vec![("a".into(), "succeeded".into())],
        jobs: [("a".into(), job("succeeded", 2, 5, &["model/1"])), ("b".into(), job("cancelled", 0, 2, &[]))].into(),
        audit: events.iter().map(|e: &Event| (e.job.clone(), e.sequence, e.kind.clone())).collect(),
        events,
        attempts: vec![attempt(1, "lost"), attempt(2, "succeeded")],
        outputs: vec![("a".into(), 0, "model".into(), "1".into())],
        pins: Vec::new(),
    }
}

/// What is found once `change` was made to a sound history.
fn found(change: impl FnOnce(&mut History)) -> String {
    let mut history = sound();
    change(&mut history);
    check(&history).join("\n")
}

/// Adds an event, and its audit row, to job `a`.
fn add(history: &mut History, fence: i64, kind: &str, state: &str) {
    let sequence = history.jobs["a"].sequence + 1;
    let job = "a".to_owned();
    history.audit.push((job.clone(), sequence, kind.into()));
    let event = Event { job, sequence, fence, kind: kind.into(), state: state.into() };
    history.events.insert(sequence as usize - 1, event);
    let job = history.jobs.get_mut("a").unwrap();
    (job.sequence, job.state) = (sequence, state.into());
}

#[test]
fn a_sound_history_is_sound() {
    assert_eq!(found(|_| {}), "");
}

#[test]
fn acknowledged_work_that_is_gone_or_renamed_is_found() {
    assert!(found(|h| h.acknowledged.push(("rc".into(), "c".into()))).contains("I5: c was acknowledged"));
    assert!(found(|h| h.acknowledged.push(("ra".into(), "b".into()))).contains("I5: request ra named a and then b"));
    assert!(found(|h| h.told.push(("b".into(), "succeeded".into()))).contains("I5: b was said to have succeeded"));
}

#[test]
fn a_second_end_or_none_is_found() {
    assert!(found(|h| add(h, 2, "failed", "failed")).contains("I1: a has ended 2 times"));
    assert!(found(|h| add(h, 3, "claimed", "running")).contains("I1: a is running"));
    let unfinished = found(|h| {
        h.events.remove(4);
        h.audit.remove(4);
        let job = h.jobs.get_mut("a").unwrap();
        (job.state, job.sequence) = ("running".into(), 4);
    });
    assert!(unfinished.contains("I1: a has ended 0 times"), "{unfinished}");
    assert!(found(|h| h.jobs.get_mut("b").unwrap().state = "failed".into()).contains("I1: b is failed"));
    assert!(found(|h| h.attempts[0].outcome.clear()).contains("I1: an attempt of a has no end"));
}

#[test]
fn an_event_that_is_missing_is_found() {
    let gap = found(|h| {
        h.events.remove(2);
        h.audit.remove(2);
    });
    assert!(gap.contains("I5: events of a are missing"), "{gap}");
    assert!(found(|h| h.jobs.get_mut("a").unwrap().sequence = 6).contains("I5: a is at 6"));
}

#[test]
fn a_second_set_of_artifacts_is_found() {
    let twice = found(|h| h.outputs.push(("a".into(), 0, "model".into(), "2".into())));
    assert!(twice.contains("I2: a names"), "{twice}");
    assert!(found(|h| h.outputs[0].3 = "2".into()).contains("I2: a names"));
    assert!(found(|h| h.outputs[0].0 = "c".into()).contains("I2: outputs of c"));
    let of_cancelled = found(|h| {
        h.outputs.push(("b".into(), 0, "model".into(), "1".into()));
        h.jobs.get_mut("b").unwrap().outputs.push("model/1".into());
    });
    assert!(of_cancelled.contains("I2: b is cancelled and has outputs"), "{of_cancelled}");
    assert!(found(|h| h.attempts[0].outcome = "succeeded".into()).contains("I2: attempts [1, 2] of 2 of a"));
}

#[test]
fn an_event_of_an_attempt_that_is_over_is_found() {
    let zombie = found(|h| {
        h.events[4].fence = 1;
    });
    assert!(zombie.contains("I4: a took an event of an attempt that was over"), "{zombie}");
    assert!(found(|h| h.events[3].fence = 1).contains("I4: a is at 2, its claims were [1, 1]"));
    assert!(found(|h| h.jobs.get_mut("a").unwrap().fence = 3).contains("I4: a is at 3"));
    let reaped_twice = found(|h| {
        h.events[3].kind = "lost".into();
        h.events[3].fence = 1;
        h.audit[3].2 = "lost".into();
    });
    assert!(reaped_twice.contains("I4: attempt 1 of a ended twice"), "{reaped_twice}");
    assert!(found(|h| h.attempts[1].fence = 3).contains("I4: attempts of a are"));
}

#[test]
fn a_change_without_its_audit_row_is_found_and_the_other_way_round() {
    assert!(found(|h| drop(h.audit.remove(1))).contains("I10: only event or only audit row: (\"a\", 2"));
    assert!(found(|h| h.audit.push(("a".into(), 9, "failed".into()))).contains("I10: only event"));
    assert!(found(|h| h.audit.push(h.audit[0].clone())).contains("I10: an audit row is there twice"));
}

#[test]
fn pins_of_what_has_ended_are_found() {
    assert!(found(|h| h.pins.push("a".into())).contains("I6: a has ended"));
}

#[test]
fn bytes_that_are_missing_short_or_others_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("projects/default");
    let digest = |bytes: &[u8]| hex::encode(<sha2::Sha256 as sha2::Digest>::digest(bytes));
    let blob = digest(b"flour");
    let manifest = format!(r#"{{"parts":[{{"digest":"{blob}","name":"sack","size":5}}]}}"#);
    let at = place.join("blobs/sha256").join(&blob[..2]);
    std::fs::create_dir_all(&at).unwrap();
    std::fs::create_dir_all(place.join("artifacts")).unwrap();
    std::fs::write(place.join("artifacts").join(digest(manifest.as_bytes())), &manifest).unwrap();
    let mut history = sound();
    history.outputs[0].3 = digest(manifest.as_bytes());
    assert!(stored(&history, folder.path())[0].contains("I3: \"sack\""), "missing");
    for (bytes, findings) in [("flour", 0), ("flou", 1), ("floor", 1)] {
        std::fs::write(at.join(&blob), bytes).unwrap();
        assert_eq!(stored(&history, folder.path()).len(), findings, "{bytes}");
    }
    std::fs::write(place.join("artifacts").join(digest(manifest.as_bytes())), "{}").unwrap();
    assert!(stored(&history, folder.path())[0].contains("I3: the manifest"));
}
