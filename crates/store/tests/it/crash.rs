//! A process is killed while it writes: the next one finds nothing torn and cleans up.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use gristmill_s3server::{S3Server, WRITER, WireFault};
use gristmill_store::{Location, Pin, PinRefused, Store, StoreConfig};
use gristmill_types::{ArtifactKind, Digest, Project, SystemClock};

use super::bench::{pattern, producer, s3_config};

const CONFIG: &str = "GRISTMILL_TEST_CRASH_CONFIG";
const PARTS: usize = 6;
/// A part that goes to a server in two pieces.
const LARGE: usize = (8 << 20) + 1;

async fn open(config: &StoreConfig) -> Store {
    Store::open(config, Arc::new(SystemClock)).await.unwrap()
}

fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "@{word}").unwrap();
    out.flush().unwrap();
}

/// Says that the pin was asked for, and pins.
struct Saying;

#[async_trait]
impl Pin for Saying {
    async fn pin(&self, _digests: &[Digest]) -> Result<(), PinRefused> {
        say("pinned");
        Ok(())
    }
}

#[tokio::test]
#[ignore = "a process to kill: `cargo test -p gristmill-store killed_anywhere_nothing_is_torn` starts it"]
async fn writes_for_ever() {
    let config = std::fs::read(std::env::var(CONFIG).unwrap()).unwrap();
    let project = open(&serde_json::from_slice(&config).unwrap()).await.project(&Project::default());
    let large = pattern(LARGE);
    for round in 0_u8.. {
        let mut writer = project.write(ArtifactKind::Dataset, producer(), []);
        for part in 0..PARTS {
            let mut bytes = if part == 0 { large.clone() } else { large[..300_000].to_vec() };
            bytes[..2].copy_from_slice(&[round, part as u8]);
            writer.part_bytes(&format!("part-{part}"), bytes).await.unwrap();
            say("part");
        }
        writer.finish(&Saying).await.unwrap();
        say("finished");
    }
}

fn start(folder: &Path, config: &StoreConfig) -> Child {
    let file = folder.join("config.json");
    std::fs::write(&file, serde_json::to_vec(config).unwrap()).unwrap();
    let test = ["--exact", "it::crash::writes_for_ever", "--ignored", "--nocapture"];
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(test).env(CONFIG, file).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills the writer when it has said `word` `times` times.
fn kill_at(folder: &Path, config: &StoreConfig, word: &str, times: usize) {
    let mut child = start(folder, config);
    let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let heard = said.filter(|line| line.ends_with(&format!("@{word}"))).take(times).count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(heard, times, "the writer ended before it was killed");
}

/// Between parts, at the pin (so while parts and manifest are published), and after a manifest.
const MOMENTS: [(&str, usize); 5] = [("part", 1), ("part", PARTS + 3), ("pinned", 1), ("pinned", 3), ("finished", 2)];

/// What was finished is there, and whatever is there is whole.
async fn nothing_is_torn(store: &Store, word: &str, times: usize) {
    let project = store.project(&Project::default());
    let artifacts = project.list().await.unwrap();
    let finished = match word {
        "part" => times / PARTS,
        "pinned" => times - 1,
        _ => times,
    };
    assert!(artifacts.len() >= finished, "{word} {times}: what was finished is there");
    for digest in artifacts {
        project.find(digest).await.unwrap().verify().await.unwrap();
    }
}

#[tokio::test]
async fn killed_anywhere_nothing_is_torn() {
    for (word, times) in MOMENTS {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::new(Location::Local(folder.path().join("store")), folder.path().join("cache"));
        kill_at(folder.path(), &config, word, times);
        let spool = folder.path().join("store/.spool");
        let left = std::fs::read_dir(&spool).unwrap().count();
        assert!(left > 0, "the killed process leaves its folder behind");

        let store = open(&config).await;
        assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 2, "only the folder and the lock of this process");
        nothing_is_torn(&store, word, times).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_nothing_is_torn_on_a_server() {
    for (word, times) in MOMENTS {
        let server = S3Server::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = s3_config(&server, WRITER, folder.path());
        tokio::task::block_in_place(|| kill_at(folder.path(), &config, word, times));
        let store = open(&config).await;
        let spool = folder.path().join("cache/spool");
        assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 2, "only the folder and the lock of this process");
        nothing_is_torn(&store, word, times).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_killed_in_an_upload_shows_nothing() {
    let server = S3Server::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = s3_config(&server, WRITER, folder.path());
    // The first piece never gets an answer: the writer is killed while it waits.
    server.inject_after(http::Method::PUT, WireFault::Stall, 2, usize::MAX);
    let mut child = start(folder.path(), &config);
    server.until(|server| server.fired() > 0 && server.open_uploads().is_ok_and(|open| open == 1)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    server.heal();
    let store = open(&config).await;
    nothing_is_torn(&store, "part", 0).await;
    assert!(store.project(&Project::default()).list().await.unwrap().is_empty());
    assert_eq!(server.open_uploads().unwrap(), 1, "its pieces are for the bucket's lifecycle rule");
}
