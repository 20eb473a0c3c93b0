//! From outside: Python with grpcio and reflection drives the stages one by one.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gristmill_tests::stages::Stages;
use gristmill_tests::{Desk, root, small_csv};
use serde_json::Value;

/// The packages that the script needs, and no others.
const PACKAGES: [&str; 2] = ["grpcio", "grpcio-reflection"];
const TOKEN: &str = "from-outside";
/// `printf %s from-outside | sha256sum`.
const HASH: &str = "196def6c3538db49ccb162c2b4ddf3314105744c5411fe9ff796cfd638f9e3d2";
const SIX: [&str; 6] = ["ingestion", "preparation", "training", "evaluation", "registry", "monitoring"];

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn has_packages(python: &Path) -> bool {
    succeeds(Command::new(python).args(["-c", "import grpc, grpc_reflection"]))
}

/// A Python with the packages: the one named by `GRISTMILL_PYTHON`, the system's, or one made beside the binaries.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("GRISTMILL_PYTHON").map(PathBuf::from);
    if let Some(found) = named.into_iter().chain(["python3".into()]).find(|python| has_packages(python)) {
        return Some(found);
    }
    let folder = std::env::current_exe().unwrap().ancestors().nth(2)?.join("python-grpc");
    let made = folder.join("bin/python");
    if has_packages(&made) {
        return Some(made);
    }
    let venv = succeeds(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    let installed = venv && succeeds(Command::new(&made).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES));
    (installed && has_packages(&made)).then_some(made)
}

fn drive(python: &Path, desk: &Desk, stages: &Stages<'_>, token: &str) -> Output {
    let mut command = Command::new(python);
    command.arg(root().join("tests/clients/stages.py")).args(["d.csv", "new.csv", "y", "report.html"]);
    command.args(SIX.iter().map(|stage| format!("{stage}={}", stages.grpc(stage))));
    command.current_dir(desk.path()).env("TOKEN", token).output().unwrap()
}

#[test]
fn python_with_reflection_alone_drives_six_processes() {
    let Some(python) = python() else {
        let message = format!("no Python with {} and none could be made", PACKAGES.join(" and "));
        assert!(std::env::var("GRISTMILL_REQUIRE_PYTHON").as_deref() != Ok("1"), "{message}");
        eprintln!("SKIPPED: {message}");
        return;
    };
    let desk = Desk::new();
    desk.write("d.csv", small_csv(900));
    desk.write("new.csv", small_csv(300));
    let tokens = desk.write(
        "tokens.yaml",
        format!("tokens:\n  - name: outside\n    sha256: {HASH}\n    projects: {{ default: [admin] }}\n"),
    );
    let mut stages = Stages::new(&desk);
    for stage in SIX {
        stages.start(stage, &["--tokens", &tokens]);
    }
    for stage in SIX {
        stages.wait_ready(stage);
    }

    let stranger = drive(&python, &desk, &stages, "somebody");
    let said = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(!stranger.status.success() && said.contains("UNAUTHENTICATED"), "{said}");

    let driven = drive(&python, &desk, &stages, TOKEN);
    assert!(driven.status.success(), "{}", String::from_utf8_lossy(&driven.stderr));
    let made: Value = serde_json::from_slice(&driven.stdout).unwrap();
    assert_eq!(made["champion"], 1, "{made}");
    assert_eq!(made["leaderboard"], 4, "{made}");
    assert_eq!(made["artifacts"].as_array().map(Vec::len), Some(6), "{made}");
    assert!(made["drift"].as_str().is_some_and(|state| state.starts_with("MONITORING_STATE_")), "{made}");
    let report = std::fs::read_to_string(desk.path().join("report.html")).unwrap_or_else(|error| panic!("{error}"));
    assert!(report.starts_with("<!") && report.contains("</html>"), "{report:.200}");
}
