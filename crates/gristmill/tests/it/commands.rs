//! Commands that need no data: usage, schema, completions, empty lists.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The built binary in `folder`, without this process's own settings.
pub(super) fn gristmill(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GRISTMILL_") || name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    seen(&gristmill(folder.path(), arguments).output().unwrap())
}

fn seen(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn wrong_commands_are_usage_errors_with_a_hint() {
    let cases: [(&[&str], &str); 7] = [
        (&["predcit"], "predict"),
        (&["run", "absent.yaml"], "absent.yaml"),
        (&["run", "."], "is not a file"),
        (&["predict", "--model", "@x", "--input", "absent.csv", "--output", "y.csv"], "absent.csv"),
        (&["data", "show", "nothing"], "KIND:DIGEST"),
        (&["--project", "Not a Name", "gc"], "not a project name"),
        (&["--token", "plain", "models", "list"], "env:NAME"),
    ];
    for (arguments, hint) in cases {
        let (code, out, err) = run(arguments);
        assert_eq!(code, 2, "{arguments:?}: {err}");
        assert!(err.contains(hint) && out.is_empty(), "{arguments:?}: {err}");
    }
}

#[test]
fn what_needs_no_stage_prints_and_ends() {
    let (code, schema, _) = run(&["schema"]);
    assert_eq!(code, 0);
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["properties"]["sources"]["type"], "object");
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(&["completions", shell]);
        assert!(code == 0 && script.contains("gristmill") && script.contains("monitor"), "{shell}");
    }
    let (code, version, _) = run(&["--version"]);
    assert_eq!((code, version.trim()), (0, concat!("gristmill ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn an_empty_data_directory_is_made_and_found_again_from_below() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    let (code, out, err) = seen(&gristmill(folder.path(), &["runs", "list", "--output", "json"]).output().unwrap());
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.replace(char::is_whitespace, ""), "{\"runs\":[]}");
    assert!(folder.path().join(".gristmill/gristmill.db").is_file());
    let (code, out, err) = seen(&gristmill(&below, &["models", "list", "--output", "json"]).output().unwrap());
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.replace(char::is_whitespace, ""), "{\"models\":[]}");
    assert!(!below.join(".gristmill").exists());
    let (code, _, err) = seen(&gristmill(&below, &["runs", "show", "last"]).output().unwrap());
    assert!(code == 2 && err.contains("there is no run yet"), "{err}");
    let (code, out, err) = seen(&gristmill(&below, &["gc", "--output", "json"]).output().unwrap());
    assert_eq!(code, 0, "{err}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap()["deleted"], 0);
}

#[test]
fn a_server_that_is_not_there_is_a_failure_in_words() {
    let (code, _, err) = run(&["--endpoint", "http://127.0.0.1:9", "models", "list"]);
    assert!(code == 1 && err.starts_with("error: "), "{err}");
    let (code, _, err) = run(&["--endpoint", "not an address", "models", "list"]);
    assert!(code == 2 && err.contains("http://host:port"), "{err}");
}
