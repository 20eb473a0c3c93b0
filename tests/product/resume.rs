//! Killed at any moment: what was finished stays finished, and the bytes are the same.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::collections::BTreeSet;

use gristmill_tests::{Desk, small_csv};
use serde_json::Value;

/// Every artifact of a run.
pub fn digests(run: &Value) -> BTreeSet<String> {
    run["artifacts"].as_array().unwrap().iter().map(|a| format!("{}/{}", a["kind"], a["digest"])).collect()
}

#[test]
fn a_killed_run_is_resumed_to_the_same_bytes() {
    let calm = Desk::new();
    calm.write("d.csv", small_csv(1_500));
    let args = ["run", "d.csv", "--target", "y", "--trials", "6", "--output", "json"];
    let begin = std::time::Instant::now();
    let expected = calm.ok(&args).json();
    let took = begin.elapsed();

    let desk = Desk::new();
    desk.write("d.csv", small_csv(1_500));
    for share in [0.3, 0.55, 0.8] {
        let mut child = desk.command(&args).stdout(std::process::Stdio::null()).spawn().unwrap();
        let deadline = std::time::Instant::now() + took.mul_f64(share);
        while std::time::Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap();
    }
    let resumed = desk.ok(&args).json();
    assert_eq!(resumed["state"], "succeeded");
    assert_eq!(digests(&resumed), digests(&expected));
    assert_eq!(resumed["model"]["version"], 1, "the version is registered once");
}

#[test]
fn workers_do_not_change_the_bytes() {
    let run = |workers: &str| {
        let desk = Desk::new();
        desk.write("d.csv", small_csv(800));
        desk.ok(&["run", "d.csv", "--target", "y", "--trials", "6", "--workers", workers, "--output", "json"]).json()
    };
    let (one, two) = (run("1"), run("2"));
    assert_eq!(one["leaderboard"], two["leaderboard"]);
    assert_eq!(digests(&one), digests(&two));
}
