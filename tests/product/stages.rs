//! The stages as processes of their own give what the all-in-one gives, also when some are killed.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::net::SocketAddr;
use std::process::Child;
use std::time::{Duration, Instant};

use gristmill_tests::stages::{Program, STAGES, Stages};
use gristmill_tests::{Desk, free, http, small_csv};
use serde_json::Value;

use crate::resume::digests;

const ROWS: usize = 1_200;
const RUN: [&str; 8] = ["run", "d.csv", "--target", "y", "--trials", "24", "--output", "json"];

/// The same run with every stage in one process.
fn all_in_one() -> Value {
    let desk = Desk::new();
    desk.write("d.csv", small_csv(ROWS));
    desk.ok(&RUN).json()
}

/// The command line on the stages of `stages`.
fn through<'a>(args: &[&'a str], endpoints: &'a str) -> Vec<&'a str> {
    args.iter().copied().chain(["--endpoint", endpoints]).collect()
}

/// The state of one step of the newest run, if there is one.
fn step(desk: &Desk, endpoints: &str, stage: &str) -> Option<String> {
    let shown = desk.run(&through(&["runs", "show", "last", "--output", "json"], endpoints));
    let run: Value = serde_json::from_str(&shown.stdout).ok()?;
    let step = run["steps"].as_array()?.iter().find(|step| step["stage"] == stage)?;
    Some(step["state"].as_str()?.to_owned())
}

/// CPU time that a program says it has used.
fn cpu_seconds(address: SocketAddr) -> f64 {
    let page = http(address, "GET", "/metrics", "").map(|answer| answer.1).unwrap_or_default();
    let line = page.lines().find(|line| line.starts_with("process_cpu_seconds_total "));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0.0)
}

/// Waits until a stage works on the run of `child`.
fn wait_for_step(desk: &Desk, endpoints: &str, stage: &str, child: &mut Child) {
    let begin = Instant::now();
    loop {
        if let Some(state) = step(desk, endpoints, stage) {
            assert_eq!(state, "running", "{stage} was over before it was seen");
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "the run ended before {stage} began");
        assert!(begin.elapsed() < Duration::from_secs(120), "{stage} did not begin");
    }
}

#[test]
fn eight_processes_give_the_bytes_of_one() {
    let expected = all_in_one();
    let desk = Desk::new();
    desk.write("d.csv", small_csv(ROWS));
    let mut stages = Stages::new(&desk);

    // Nobody it calls is there yet: it serves, and says what is missing.
    stages.start("pipeline", &[]);
    let begin = Instant::now();
    let (status, said) = loop {
        if let Some(answer) = stages.readiness("pipeline") {
            break answer;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "no answer: {}", stages.kill("pipeline"));
        std::thread::yield_now();
    };
    assert_eq!((status, said["ready"].as_bool()), (503, Some(false)), "{said}");
    let missing: Vec<&String> = said["waiting_for"].as_object().unwrap().keys().collect();
    assert_eq!(missing, ["evaluation", "ingestion", "preparation", "registry", "training"]);
    for stage in STAGES.iter().filter(|stage| **stage != "pipeline") {
        stages.start(stage, &[]);
    }
    for stage in STAGES {
        stages.wait_ready(stage);
    }

    let at = stages.endpoints();
    let run = desk.ok(&through(&RUN, &at)).json();
    assert_eq!(run["state"], "succeeded");
    assert_eq!(run["leaderboard"], expected["leaderboard"]);
    assert_eq!(digests(&run), digests(&expected));

    // The other stages too: rows scored by serving, compared by monitoring.
    desk.write("new.csv", small_csv(300).replace(",y\n", ",label\n"));
    desk.ok(&through(&["predict", "--model", "d@champion", "--input", "new.csv", "--output", "out.csv"], &at));
    let checked = desk.run(&through(&["monitor", "check", "--model", "d@champion", "--input", "new.csv"], &at));
    assert!(matches!(checked.code, 0 | 3), "{checked:?}");
    assert!(stages.page("training", "/metrics").contains("rpc_server"));
    garbage_is_collected_over_all_stages_or_not_at_all(&desk, &mut stages);

    for stage in STAGES {
        let (code, log) = stages.end(stage);
        assert_eq!(code, 0, "{stage}: {log}");
        let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!(last["message"], "ended", "{stage} logs JSON to a file: {log}");
    }
}

/// All eight say what they hold; with one away, or with an all-in-one that would ask only itself, nothing goes.
fn garbage_is_collected_over_all_stages_or_not_at_all(desk: &Desk, stages: &mut Stages<'_>) {
    let at = stages.endpoints();
    let swept = desk.ok(&through(&["gc", "--output", "json"], &at)).json();
    assert_eq!(swept["deleted"], 0, "{swept}");
    assert!(swept["kept"].as_u64().is_some_and(|kept| kept > 0), "{swept}");

    let config = desk.write("up.yaml", format!("store:\n  url: file://{}\n", desk.path().join("shared").display()));
    let (grpc, at_http) = (free(), free());
    let (grpc_text, http_text) = (grpc.to_string(), at_http.to_string());
    let up = ["up", "--data-dir", "alone", "--config", &config, "--grpc", &grpc_text, "--http", &http_text];
    let mut alone = Program::start(desk.command(&up));
    let begin = Instant::now();
    while http(at_http, "GET", "/v2/health/ready", "").is_none_or(|answer| answer.0 != 200) {
        assert!(!alone.has_ended() && begin.elapsed() < Duration::from_secs(60), "{}", alone.kill());
        std::thread::yield_now();
    }
    let refused = desk.run(&["gc", "--endpoint", &format!("http://{grpc}")]);
    refused.fails(1, &["shares this store and was not asked"]);
    // From now on the stages must miss it as well, until it is said to be gone.
    let (code, log) = alone.end();
    assert_eq!(code, 0, "{log}");
    desk.run(&through(&["gc"], &at)).fails(1, &["shares this store and was not asked"]);

    stages.kill("monitoring");
    desk.run(&through(&["gc"], &at)).fails(1, &["`monitoring` did not say"]);
    stages.start("monitoring", &[]);
    stages.wait_ready("monitoring");
}

#[test]
fn killed_processes_come_back_and_the_run_goes_on() {
    let expected = all_in_one();
    let desk = Desk::new();
    desk.write("d.csv", small_csv(ROWS));
    let mut stages = Stages::all(&desk);
    let at = stages.endpoints();

    let mut child = desk.command(&through(&RUN, &at)).stdout(std::process::Stdio::null()).spawn().unwrap();
    wait_for_step(&desk, &at, "training", &mut child);
    stages.kill("training");
    stages.start("training", &[]);
    stages.wait_ready("training");
    stages.kill("pipeline");
    let _ = child.kill();
    child.wait().unwrap();
    stages.start("pipeline", &[]);
    stages.wait_ready("pipeline");

    // The unfinished run of the same file goes on.
    let run = desk.ok(&through(&RUN, &at)).json();
    assert_eq!(run["state"], "succeeded");
    assert_eq!(digests(&run), digests(&expected));
    assert_eq!(run["model"]["version"], 1, "the version is registered once");
    let runs = desk.ok(&through(&["runs", "list", "--output", "json"], &at)).json();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1), "{runs}");
}

#[test]
fn drained_processes_give_their_work_back() {
    let expected = all_in_one();
    let desk = Desk::new();
    desk.write("d.csv", small_csv(ROWS));
    let mut stages = Stages::all(&desk);
    let at = stages.endpoints();
    let mut child = desk.command(&through(&RUN, &at)).stdout(std::process::Stdio::null()).spawn().unwrap();
    wait_for_step(&desk, &at, "training", &mut child);
    let (code, log) = stages.end("training");
    assert_eq!(code, 0, "{log}");
    stages.start("training", &["--set", "drain_seconds=0"]);
    stages.wait_ready("training");
    let (code, log) = stages.end("training");
    assert_eq!(code, 0, "{log}");
    stages.start("training", &[]);
    // The command has only waited.
    assert!(child.wait().unwrap().success());
    let run = desk.ok(&through(&["runs", "show", "last", "--output", "json"], &at)).json();
    assert_eq!(digests(&run), digests(&expected));
}

#[test]
fn workers_without_a_database_give_the_same_leaderboard() {
    let expected = all_in_one();
    let desk = Desk::new();
    desk.write("d.csv", small_csv(ROWS));
    let mut stages = Stages::new(&desk);
    let at = stages.endpoints();
    let endpoint = format!("http://{}", stages.grpc("training"));
    let places = ["one", "two"].map(|name| stages.places(name));
    let seen = free();
    let worker = |which: usize| {
        let mut args = vec!["work", "--endpoint", &endpoint, "--slots", "1", "--set", "drain_seconds=1"];
        args.extend(places[which].iter().map(String::as_str));
        let http = format!("--http={seen}");
        args.extend((which == 1).then_some(http.as_str()));
        Program::start(desk.command_of("gristmill-training", &args))
    };
    // They wait for their stage as well as the other way round.
    let (one, mut two) = (worker(0), worker(1));
    for stage in STAGES {
        // A killed worker's trial is somebody else's after five seconds instead of a minute.
        let alone = ["--set", "training.trials=0", "--set", "training.lease_seconds=5"];
        let own: &[&str] = if stage == "training" { &alone } else { &[] };
        stages.start(stage, own);
    }
    for stage in STAGES {
        stages.wait_ready(stage);
    }
    let mut child = desk.command(&through(&RUN, &at)).stdout(std::process::Stdio::null()).spawn().unwrap();
    wait_for_step(&desk, &at, "training", &mut child);
    // Killed while it computes.
    let idle = cpu_seconds(seen);
    while cpu_seconds(seen) < idle + 0.05 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    two.kill();
    let two = worker(1);
    child.wait().unwrap();
    let run = desk.ok(&through(&["runs", "show", "last", "--output", "json"], &at)).json();
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(run["leaderboard"], expected["leaderboard"]);
    assert_eq!(digests(&run), digests(&expected));
    assert!(!desk.path().join("one").join("gristmill.db").exists(), "a worker has no database");
    for worker in [one, two] {
        let (code, log) = worker.end();
        assert_eq!(code, 0, "{log}");
    }
}
