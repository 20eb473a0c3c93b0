//! Wrong input: each with an error that says what was wrong, where, and what to do.

use std::net::TcpListener;

use gristmill_tests::{Desk, small_csv};

#[test]
fn files_that_cannot_be_read() {
    let desk = Desk::new();
    desk.run(&["run", "missing.csv", "--target", "y"]).fails(2, &["missing.csv"]);
    let empty = desk.write("empty.csv", "");
    desk.run(&["run", &empty, "--target", "y"]).fails(1, &["empty"]);
    let ragged = desk.write("ragged.csv", "a,y\n1,2\n3\n");
    desk.run(&["run", &ragged, "--target", "y"]).fails(1, &["line 3"]);
    let twice = desk.write("twice.csv", "a,a,y\n1,2,3\n");
    desk.run(&["run", &twice, "--target", "y"]).fails(1, &["`a`", "twice"]);
}

#[test]
fn targets_that_cannot_be_learned() {
    let desk = Desk::new();
    let csv = desk.write("d.csv", small_csv(200));
    desk.run(&["run", &csv, "--target", "z"]).fails(1, &["`z`", "city"]);
    let rows: String = (0..100).map(|row| format!("{row},same,\n")).collect();
    let flat = desk.write("flat.csv", format!("a,y,n\n{rows}"));
    desk.run(&["run", &flat, "--target", "y"]).fails(1, &["constant"]);
    desk.run(&["run", &flat, "--target", "n"]).fails(1, &["null"]);
    desk.run(&["run", &csv]).fails(2, &["--target"]);
}

#[test]
fn pipeline_files_that_say_what_is_not_meant() {
    let desk = Desk::new();
    desk.write("d.csv", small_csv(200));
    desk.ok(&["run", "d.csv", "--target", "y", "--output", "json"]);
    let good = std::fs::read_to_string(desk.path().join("d.pipeline.yaml")).unwrap();
    let typo = desk.write("typo.yaml", good.replace("preparation:", "preperation:"));
    desk.run(&["run", &typo]).fails(2, &["preperation", "preparation"]);
    let version = desk.write("version.yaml", good.replace("gristmill/v1alpha1", "gristmill/v9"));
    desk.run(&["run", &version]).fails(2, &["gristmill/v9", "gristmill/v1alpha1"]);
    desk.run(&["run", "d.pipeline.yaml", "--param", "nonsense=1"]).fails(2, &["nonsense"]);
}

#[test]
fn a_port_in_use_and_an_unknown_command() {
    let desk = Desk::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    desk.run(&["up", "--grpc", &address, "--http", "127.0.0.1:0"]).fails(1, &[&address]);
    desk.run(&["up", "--grpc", "0.0.0.0:0"]).fails(1, &["0.0.0.0"]);
    desk.run(&["predcit"]).fails(2, &["predict"]);
}

#[test]
fn a_tampered_artifact_is_never_served() {
    let desk = Desk::new();
    let csv = desk.write("d.csv", small_csv(300));
    let run = desk.ok(&["run", &csv, "--target", "y", "--output", "json", "--name", "churn"]).json();
    assert_eq!(run["state"], "succeeded");
    // Flip one byte of every blob that is large enough to be a model or rows.
    let mut flipped = 0;
    let mut folders = vec![desk.path().join(".gristmill")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.components().any(|part| part.as_os_str() == "blobs") {
                let mut bytes = std::fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                if let Some(byte) = bytes.get_mut(middle) {
                    *byte ^= 1;
                    flipped += 1;
                }
                let mut permissions = std::fs::metadata(&path).unwrap().permissions();
                #[expect(clippy::permissions_set_readonly_false, reason = "a file of this test's own folder")]
                permissions.set_readonly(false);
                std::fs::set_permissions(&path, permissions).unwrap();
                std::fs::write(&path, bytes).unwrap();
            }
        }
    }
    assert!(flipped > 5, "{flipped} blobs were found");
    desk.run(&["predict", "--model", "churn@champion", "--input", &csv, "--output", "out.csv"]).fails(1, &["damaged"]);
    assert!(!desk.path().join("out.csv").exists());
}
