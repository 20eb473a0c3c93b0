//! A PostgreSQL server for the tests that start one.

use std::process::{Command, Stdio};

use gristmill_testpg::{Binaries, REQUIRE};

/// Finds the server's programs, or installs them where that can be done without asking (root on Debian
/// and its kin). Answers the variable that makes their tests mandatory; without one they are left out,
/// and say so. Never fails the run.
pub fn provide() -> Option<(&'static str, &'static str)> {
    if Binaries::find().is_none() {
        install();
    }
    match Binaries::find() {
        Some(_) => Some((REQUIRE, "1")),
        None => {
            eprintln!(
                "no PostgreSQL server is installed: its tests are left out (`apt-get install postgresql` has one)"
            );
            None
        }
    }
}

/// The tests start servers of their own: the package's is told not to start.
const INSTALL: &str = "mkdir -p /etc/postgresql-common \\
    && { [ -e /etc/postgresql-common/createcluster.conf ] \\
        || echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf; } \\
    && { apt-get install -y postgresql || { apt-get update && apt-get install -y postgresql; }; }";

fn install() {
    let may = runs("[ \"$(id -u)\" = 0 ] && command -v apt-get");
    if may {
        eprintln!("installing postgresql for the tests");
        runs(INSTALL);
    }
}

/// Whether a shell ends with 0.
fn runs(script: &str) -> bool {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).env("DEBIAN_FRONTEND", "noninteractive");
    shell.stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}
