//! The tests of a binary a second time, their tables on a server.

use std::process::Command;

use crate::{Binaries, Database, Server};

/// Set to `postgres`, [`database`] gives tests that ask for one a database on a server.
pub const BACKEND: &str = "GRISTMILL_TEST_DATABASE";

/// A database of the test's own, if the tests run on a server; else they use a file.
///
/// # Panics
/// When they are to run on a server and none is installed.
pub fn database() -> Option<Database<'static>> {
    if std::env::var_os(BACKEND).is_none_or(|backend| backend != "postgres") {
        return None;
    }
    match Server::shared() {
        Some(server) => Some(server.database()),
        None => panic!("{BACKEND}=postgres asks for a server, and none is installed"),
    }
}

/// Runs every other test of this binary again with [`BACKEND`] set; `own` is the name of the test that
/// calls this. Leaves them out, loudly, as [`Server::shared`] does.
///
/// # Panics
/// When one of them fails; what they wrote is in the message.
pub fn run_again(own: &str) {
    if Binaries::find().is_none() {
        // Says so, or fails where a server is required.
        let _ = Server::start();
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args(["--skip", own]).env(BACKEND, "postgres").output().unwrap();
    assert!(
        output.status.success(),
        "on PostgreSQL:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
