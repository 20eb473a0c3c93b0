//! Runs the built binaries in a folder of their own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up fails its test where it stands")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub mod stages;

/// A user's folder, removed at the end.
#[derive(Debug)]
pub struct Desk {
    folder: TempDir,
}

/// What a command left.
#[derive(Debug)]
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The JSON object on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Asserts the exit code and that standard error has each of `texts`.
    pub fn fails(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for text in texts {
            assert!(self.stderr.contains(text), "`{text}` is not in: {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// The built binary `name` beside this test's own.
fn binary(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    let path = path.join(name);
    assert!(path.exists(), "build the binaries first: cargo build --workspace (not at {})", path.display());
    path
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

impl Default for Desk {
    fn default() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }
}

impl Desk {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file and answers its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// The command, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of("gristmill", args)
    }

    /// The command of another of our programs, not yet started.
    pub fn command_of(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(binary(program));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        // What tells the tests something must not tell the programs.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GRISTMILL_")) {
            command.env_remove(name);
        }
        command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT").env("NO_COLOR", "1");
        command
    }

    /// Runs to the end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs another of our programs to the end.
    pub fn run_of(&self, program: &str, args: &[&str]) -> Ran {
        Ran::of(self.command_of(program, args).output().unwrap())
    }

    /// Runs to the end and asserts that it was done.
    pub fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran
    }

    /// Starts `up` on free ports and waits until it is ready.
    pub fn up(&self) -> Up {
        let (grpc, http) = (free(), free());
        let mut command = self.command(&["up", "--grpc", &grpc.to_string(), "--http", &http.to_string()]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        // Read on, or a full pipe stops the server.
        let log = std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).collect::<Vec<_>>().join("\n")
        });
        let mut up = Up { child, grpc, http, log: Some(log) };
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(60) {
            if up.child.try_wait().unwrap().is_some() {
                panic!("`up` ended: {}", up.stop());
            }
            if up.try_http("GET", "/v2/health/ready", "").is_some_and(|answer| answer.0 == 200) {
                return up;
            }
            std::thread::yield_now();
        }
        panic!("`up` was not ready within a minute: {}", up.stop());
    }
}

/// A running all-in-one, killed at the end.
#[derive(Debug)]
pub struct Up {
    child: Child,
    /// Where gRPC is served.
    pub grpc: SocketAddr,
    /// Where REST is served.
    pub http: SocketAddr,
    log: Option<std::thread::JoinHandle<String>>,
}

impl Up {
    /// Status and body of one request.
    pub fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.try_http(method, path, body).unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    fn try_http(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        http(self.http, method, path, body)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it and answers what it logged.
    pub fn stop(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.log.take().and_then(|log| log.join().ok()).unwrap_or_default()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Status and body of one request, if it was answered.
pub fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// An address of this machine that nobody listens on.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A CSV of `rows` rows whose target `y` depends on `a` and `city`.
pub fn small_csv(rows: usize) -> String {
    let mut text = String::from("a,b,city,y\n");
    for row in 0..rows {
        let a = (row * 7_919 % 997) as f64 / 997.0;
        let b = (row * 104_729 % 1_009) as f64 / 1_009.0;
        let city = ["Bern", "Genoa", "Lyon"][row * 31 % 3];
        let lift = if city == "Lyon" { 0.3 } else { 0.0 };
        let y = if a + lift + 0.4 * b > 0.8 { "yes" } else { "no" };
        text.push_str(&format!("{a:.4},{b:.4},{city},{y}\n"));
    }
    text
}
