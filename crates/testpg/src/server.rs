//! A server in a temporary folder.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::binaries::{Binaries, REQUIRE, unprivileged};

/// Role and password of every connection; the server is reached from this machine only, for as long as
/// a test runs.
const USER: &str = "gristmill";
const PASSWORD: &str = "flour-and-water";
/// Starting takes one or two seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Holds the server until its input ends, then removes the folder unless told `keep`.
const HOLD: &str = r#"
cd "$1" || exit 1
shift
"$@" >>log 2>&1 &
server=$!
read -r word
kill -INT $server 2>/dev/null
wait $server
[ "$word" = keep ] || rm -rf "$PWD"
"#;

/// A running server; stops with the value, or with the process.
#[derive(Debug)]
pub struct Server {
    binaries: Binaries,
    folder: PathBuf,
    settings: Vec<String>,
    port: u16,
    holder: Option<Child>,
    databases: AtomicU32,
}

/// A database of one test; dropped with the value.
#[derive(Debug)]
pub struct Database<'a> {
    server: &'a Server,
    name: String,
}

impl Server {
    /// The server of this test binary. None, after saying so loudly, when none is installed.
    ///
    /// # Panics
    /// When one is installed and does not start, or is required and not installed.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// A server of one's own; none as for [`Server::shared`].
    ///
    /// # Panics
    /// As [`Server::shared`].
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// As [`Server::start`], with settings such as `fsync=on` over those of tests.
    ///
    /// # Panics
    /// As [`Server::shared`].
    pub fn start_with(settings: &[&str]) -> Option<Self> {
        let Some(binaries) = Binaries::find() else {
            let missing = "no PostgreSQL server is installed (initdb, postgres, psql, pg_isready)";
            if std::env::var_os(REQUIRE).is_some_and(|value| value == "1") {
                panic!("{missing}, and {REQUIRE}=1 asks for one");
            }
            // Past the capture of the harness, which hides what passing tests print.
            let _ = writeln!(std::io::stderr(), "\n*** LEFT OUT: {missing}; tests of PostgreSQL do nothing ***\n");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("gm-pg-").tempdir().unwrap().keep();
        if let Some((user, group)) = unprivileged() {
            std::os::unix::fs::chown(&folder, Some(user), Some(group)).unwrap();
        }
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { binaries, folder, settings, port: 0, holder: None, databases: AtomicU32::new(0) };
        server.init();
        server.resume();
        Some(server)
    }

    /// Stops the server, as an administrator does; what was committed stays.
    pub fn stop(&mut self) {
        self.end("keep\n");
    }

    /// Starts it again where it was.
    ///
    /// # Panics
    /// When it does not start; the end of its log is in the message.
    pub fn resume(&mut self) {
        let since = Instant::now();
        // A port that was free a moment ago may be taken: then another one, once; later the same again.
        let tries = if self.port == 0 { 5 } else { 1 };
        for _ in 0..tries {
            if tries > 1 {
                self.port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            }
            self.holder = Some(self.hold());
            while since.elapsed() < PATIENCE {
                if self.is_ready() {
                    return;
                }
                if !self.folder.join("data/postmaster.pid").exists() && since.elapsed() > PATIENCE / 4 {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            self.stop();
        }
        panic!("the PostgreSQL server did not start: {}", self.log());
    }

    /// A new, empty database.
    ///
    /// # Panics
    /// When the server does not make one.
    pub fn database(&self) -> Database<'_> {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::SeqCst));
        self.psql("postgres", &format!("create database {name}"));
        Database { server: self, name }
    }

    /// Where a program reaches a database: through the socket, without a password.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@localhost:{}/{database}?host={}", self.port, self.folder.display())
    }

    /// Where a program reaches a database over TCP, with its password.
    pub fn tcp_url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The server's port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Runs statements as the server's owner; answers the rows, columns apart by `|`.
    ///
    /// # Panics
    /// When a statement fails.
    pub fn psql(&self, database: &str, statements: &str) -> String {
        let output = Command::new(self.binaries.program("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", statements])
            .output()
            .unwrap();
        assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn init(&self) {
        let password = self.folder.join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        let output = as_server(&self.binaries.program("initdb"), &self.folder)
            .args([
                "--no-sync",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--locale=C",
                "--encoding=UTF8",
                "--username",
                USER,
            ])
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(self.folder.join("data"))
            .output()
            .unwrap();
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn hold(&self) -> Child {
        let mut command = as_server(Path::new("/bin/sh"), &self.folder);
        command.args(["-c", HOLD, "sh"]).arg(&self.folder).arg(self.binaries.program("postgres"));
        command.arg("-D").arg(self.folder.join("data")).arg("-k").arg(&self.folder);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        let settings = ["fsync=off", "full_page_writes=off", "max_connections=300", "shared_buffers=32MB"];
        for setting in settings.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        // A group of its own: Ctrl-C at the tests does not reach the holder, the end of the tests does.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn is_ready(&self) -> bool {
        let mut ask = Command::new(self.binaries.program("pg_isready"));
        ask.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        ask.status().is_ok_and(|status| status.success())
    }

    fn end(&mut self, word: &str) {
        let Some(mut holder) = self.holder.take() else { return };
        if let Some(mut input) = holder.stdin.take() {
            let _ = input.write_all(word.as_bytes());
        }
        let _ = holder.wait();
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(10).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.holder.is_some() {
            self.end("");
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Database<'_> {
    /// Where a program reaches it.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As [`Server::psql`].
    ///
    /// # Panics
    /// As [`Server::psql`].
    pub fn psql(&self, statements: &str) -> String {
        self.server.psql(&self.name, statements)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.server.psql("postgres", &format!("drop database if exists {} with (force)", self.name));
        }
    }
}

/// A command of the server's user, in its folder.
fn as_server(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    if let Some((user, group)) = unprivileged() {
        // The standard library gives up the other groups of root, too.
        command.uid(user).gid(group);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_what_it_has_and_goes_with_its_value() {
        let Some(mut server) = Server::start() else { return };
        let folder = server.folder.clone();
        server.psql("postgres", "create table kept (n int); insert into kept values (7)");
        {
            let (one, two) = (server.database(), server.database());
            one.psql("create table t (n int)");
            assert_ne!(one.url(), two.url());
            assert_eq!(two.psql("select count(*) from pg_tables where tablename = 't'"), "0", "a database each");
        }
        assert_eq!(server.psql("postgres", "select count(*) from pg_database where datname like 't_'"), "0");
        server.stop();
        assert!(!server.is_ready());
        server.resume();
        assert_eq!(server.psql("postgres", "select n from kept"), "7");
        drop(server);
        assert!(!folder.exists(), "nothing stays behind");
    }
}
