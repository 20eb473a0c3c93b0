//! `up`: its settings, its lock, its drain.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use super::commands::gristmill;

/// A running server; killed when the test ends.
struct Up {
    child: Child,
    http: String,
    log: BufReader<std::process::ChildStderr>,
}

impl Drop for Up {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Up {
    /// Starts on free ports, and returns when it has said that it is ready.
    fn start(folder: &std::path::Path) -> Self {
        let mut command = gristmill(folder, &["up", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut up = Self { child, http: String::new(), log };
        while up.http.is_empty() {
            let mut line = String::new();
            assert!(up.log.read_line(&mut line).unwrap() > 0, "it ended before it was ready");
            let ready = line.split_once("http=").and_then(|(_, rest)| rest.split_whitespace().next());
            up.http = ready.unwrap_or_default().to_owned();
        }
        up
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.http).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[test]
fn settings_come_from_file_environment_and_flags_in_that_order() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("up.yaml"), "grpc: 127.0.0.1:1\nhttp: 127.0.0.1:2\nserver:\n  max_calls: 7\n")
        .unwrap();
    let arguments = ["up", "--config", "up.yaml", "--http", "127.0.0.1:3", "--explain"];
    let output = gristmill(folder.path(), &arguments).env("GRISTMILL_GRPC", "127.0.0.1:4").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |key: &str| text.lines().find(|line| line.split(' ').next() == Some(key)).unwrap().to_owned();
    assert!(line("grpc").ends_with("\"127.0.0.1:4\"  (environment variable GRISTMILL_GRPC)"), "{text}");
    assert!(line("http").ends_with("\"127.0.0.1:3\"  (flag http)"), "{text}");
    assert!(line("server.max_calls").ends_with("7  (file up.yaml)"), "{text}");
    assert!(line("workers").ends_with("0  (default)"), "{text}");

    let output = gristmill(folder.path(), &["up"]).env("GRISTMILL_WROKERS", "3").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && error.contains("did you mean `workers`?"), "{error}");
}

#[test]
fn a_server_is_ready_without_models_used_by_commands_alone_in_its_folder_and_drains() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path());
    assert!(up.get("/v2/health/ready").starts_with("HTTP/1.1 200"));
    assert!(up.get("/nowhere").starts_with("HTTP/1.1 404"));

    let listed = gristmill(folder.path(), &["models", "list"]).output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let counted = up.get("/metrics");
    assert!(counted.contains("RegistryService/ListModels\",rpc_response_status_code=\"OK\"} 1"), "{counted}");

    let second = gristmill(folder.path(), &["up", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]).output().unwrap();
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(second.status.code() == Some(1) && error.contains("in use by the server on http://127.0.0.1:"), "{error}");
    let swept = gristmill(folder.path(), &["gc", "--output", "json"]).output().unwrap();
    assert!(swept.status.success(), "the server collects: {swept:?}");
    let swept: serde_json::Value = serde_json::from_slice(&swept.stdout).unwrap();
    assert_eq!((swept["deleted"].as_u64(), swept["kept"].as_u64()), (Some(0), Some(0)));
    assert!(up.get("/metrics").contains("ArtifactService/SweepArtifacts\",rpc_response_status_code=\"OK\"} 1"));

    let pid = rustix::process::Pid::from_child(&up.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(up.child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    up.log.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("draining"), "{rest}");
    let after = gristmill(folder.path(), &["models", "list"]).output().unwrap();
    assert!(after.status.success(), "the folder is free again: {after:?}");
}
