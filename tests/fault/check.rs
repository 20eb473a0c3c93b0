//! The invariants of the fault matrix over a recorded history. Each check answers what is wrong, one line per finding.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::history::{Event, History, TERMINAL};

type Findings = Vec<String>;

/// I1 to I5 and I10 of a history whose work is over, and what pins of I6 it shows.
pub fn check(history: &History) -> Findings {
    let mut by_job: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in &history.events {
        by_job.entry(&event.job).or_default().push(event);
    }
    let mut findings = acknowledged(history);
    for (id, job) in &history.jobs {
        let events = by_job.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
        findings.extend(one_end(id, &job.state, job.sequence, events));
        findings.extend(fences(id, job.fence, events));
    }
    findings.extend(committed_once(history));
    findings.extend(attempts(history));
    findings.extend(audited(history));
    findings.extend(pins(history));
    findings
}

/// I1, I5: what was acknowledged is there, under one id for ever, and what was said of its end is so.
fn acknowledged(history: &History) -> Findings {
    let mut findings = Findings::new();
    let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
    for (request, job) in &history.acknowledged {
        let first = *ids.entry(request).or_insert(job);
        if first != job {
            findings.push(format!("I5: request {request} named {first} and then {job}"));
        }
        if !history.jobs.contains_key(job) {
            findings.push(format!("I5: {job} was acknowledged and is not there"));
        }
    }
    for (job, said) in &history.told {
        let state = history.jobs.get(job).map_or("gone", |job| job.state.as_str());
        if state != said {
            findings.push(format!("I5: {job} was said to have {said} and is {state}"));
        }
    }
    findings
}

/// I1: one terminal event, the last one, and the row says the same.
fn one_end(id: &str, state: &str, sequence: i64, events: &[&Event]) -> Findings {
    let mut findings = Findings::new();
    let ends = events.iter().filter(|event| TERMINAL.contains(&event.state.as_str())).count();
    if ends != 1 {
        findings.push(format!("I1: {id} has ended {ends} times"));
    }
    match events.last() {
        None => findings.push(format!("I1: {id} has no events")),
        Some(last) => {
            if last.state != state || !TERMINAL.contains(&state) {
                findings.push(format!("I1: {id} is {state}, its last event says {}", last.state));
            }
            if last.sequence != sequence {
                findings.push(format!("I5: {id} is at {sequence}, its last event is {}", last.sequence));
            }
        }
    }
    if !events.iter().map(|event| event.sequence).eq(1..=events.len() as i64) {
        findings.push(format!("I5: events of {id} are missing"));
    }
    findings
}

/// I4: fences only rise, each claim has its own, and nothing of a lower one follows a higher one.
fn fences(id: &str, fence: i64, events: &[&Event]) -> Findings {
    let mut findings = Findings::new();
    if !events.is_sorted_by_key(|event| event.fence) {
        findings.push(format!("I4: {id} took an event of an attempt that was over"));
    }
    let claimed: Vec<i64> = events.iter().filter(|event| event.kind == "claimed").map(|event| event.fence).collect();
    if !claimed.iter().copied().eq(1..=claimed.len() as i64) || claimed.len() as i64 != fence {
        findings.push(format!("I4: {id} is at {fence}, its claims were {claimed:?}"));
    }
    // A job may be cancelled after its last attempt has ended; everything else ends an attempt that was under way.
    let ends = ["released", "retried", "lost", "succeeded", "failed"];
    let mut over = BTreeSet::new();
    for event in events.iter().filter(|event| ends.contains(&event.kind.as_str())) {
        if !over.insert(event.fence) {
            findings.push(format!("I4: attempt {} of {id} ended twice", event.fence));
        }
    }
    findings
}

/// I2: outputs only of what succeeded, and one set of them.
fn committed_once(history: &History) -> Findings {
    let mut findings = Findings::new();
    let mut rows: BTreeMap<&str, Vec<(i64, String)>> = BTreeMap::new();
    for (job, ordinal, kind, digest) in &history.outputs {
        rows.entry(job).or_default().push((*ordinal, format!("{kind}/{digest}")));
    }
    for (id, job) in &history.jobs {
        let set = rows.remove(id.as_str()).unwrap_or_default();
        let ordinals_are_one_set = set.iter().map(|row| row.0).collect::<BTreeSet<_>>().len() == set.len();
        if !ordinals_are_one_set || set.iter().map(|row| &row.1).ne(&job.outputs) {
            findings.push(format!("I2: {id} names {:?}, its rows {set:?}", job.outputs));
        }
        if job.state != "succeeded" && !job.outputs.is_empty() {
            findings.push(format!("I2: {id} is {} and has outputs", job.state));
        }
    }
    findings.extend(rows.keys().map(|job| format!("I2: outputs of {job}, which is not there")));
    findings
}

/// I2, I4: attempts are numbered from 1, at most one succeeded and none after it, and every one has ended.
fn attempts(history: &History) -> Findings {
    let mut findings = Findings::new();
    let mut by_job: BTreeMap<&str, Vec<(i64, &str)>> = BTreeMap::new();
    for attempt in &history.attempts {
        by_job.entry(&attempt.job).or_default().push((attempt.fence, &attempt.outcome));
    }
    for (job, attempts) in by_job {
        if !attempts.iter().map(|attempt| attempt.0).eq(1..=attempts.len() as i64) {
            findings.push(format!("I4: attempts of {job} are {attempts:?}"));
        }
        let succeeded: Vec<i64> = attempts.iter().filter(|a| a.1 == "succeeded").map(|a| a.0).collect();
        if succeeded.len() > 1 || succeeded.first().is_some_and(|fence| *fence != attempts.len() as i64) {
            findings.push(format!("I2: attempts {succeeded:?} of {} of {job} have succeeded", attempts.len()));
        }
        if attempts.iter().any(|attempt| attempt.1.is_empty()) {
            findings.push(format!("I1: an attempt of {job} has no end: {attempts:?}"));
        }
    }
    findings
}

/// I10: an audit row for every event, under its number, and no other.
fn audited(history: &History) -> Findings {
    let events: BTreeSet<_> = history.events.iter().map(|e| (&*e.job, e.sequence, &*e.kind)).collect();
    let audit: BTreeSet<_> =
        history.audit.iter().map(|(job, sequence, action)| (&**job, *sequence, &**action)).collect();
    let one_sided = events.symmetric_difference(&audit);
    let mut findings: Findings = one_sided.map(|row| format!("I10: only event or only audit row: {row:?}")).collect();
    if history.audit.len() != audit.len() {
        findings.push("I10: an audit row is there twice".into());
    }
    findings
}

/// I6: what has ended holds nothing back from collection.
fn pins(history: &History) -> Findings {
    let ended = |job: &&String| history.jobs.get(*job).is_none_or(|job| TERMINAL.contains(&job.state.as_str()));
    history.pins.iter().filter(ended).map(|job| format!("I6: {job} has ended and its pins are left")).collect()
}

/// I3: everything that a job names lies in the store's folder, with the size and the digests that it was recorded with.
pub fn stored(history: &History, store: &Path) -> Findings {
    let place = store.join("projects/default");
    let mut findings = Findings::new();
    for digest in history.outputs.iter().map(|output| &output.3).collect::<BTreeSet<_>>() {
        let manifest = std::fs::read(place.join("artifacts").join(digest)).unwrap_or_default();
        if hex_digest(&manifest) != *digest {
            findings.push(format!("I3: the manifest {digest} is missing or not its own"));
            continue;
        }
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        for part in manifest["parts"].as_array().unwrap() {
            let name = part["digest"].as_str().unwrap();
            let bytes = std::fs::read(place.join("blobs/sha256").join(&name[..2]).join(name)).unwrap_or_default();
            if hex_digest(&bytes) != name || Some(bytes.len() as u64) != part["size"].as_u64() {
                findings.push(format!("I3: {} of {digest} is missing or not its own", part["name"]));
            }
        }
    }
    findings
}

fn hex_digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
