//! A process is killed while it writes: the next one finds nothing torn and cleans up.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use gristmill_store::{Location, Pin, PinRefused, Store, StoreConfig};
use gristmill_types::{ArtifactKind, Digest, Project, SystemClock};

use super::bench::{pattern, producer};

const FOLDER: &str = "GRISTMILL_TEST_CRASH_FOLDER";
const PARTS: usize = 6;

async fn open(folder: &Path) -> Store {
    let config = StoreConfig::new(Location::Local(folder.join("store")), folder.join("cache"));
    Store::open(&config, Arc::new(SystemClock)).await.unwrap()
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
    let folder = PathBuf::from(std::env::var(FOLDER).unwrap());
    let project = open(&folder).await.project(&Project::default());
    for round in 0_u8.. {
        let mut writer = project.write(ArtifactKind::Dataset, producer(), []);
        for part in 0..PARTS {
            let mut bytes = pattern(300_000);
            bytes[..2].copy_from_slice(&[round, part as u8]);
            writer.part_bytes(&format!("part-{part}"), bytes).await.unwrap();
            say("part");
        }
        writer.finish(&Saying).await.unwrap();
        say("finished");
    }
}

fn start(folder: &Path) -> Child {
    let test = ["--exact", "it::crash::writes_for_ever", "--ignored", "--nocapture"];
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(test).env(FOLDER, folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills the writer when it has said `word` `times` times.
fn kill_at(folder: &Path, word: &str, times: usize) {
    let mut child = start(folder);
    let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let heard = said.filter(|line| line.ends_with(&format!("@{word}"))).take(times).count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(heard, times, "the writer ended before it was killed");
}

#[tokio::test]
async fn killed_anywhere_nothing_is_torn() {
    // Between parts, at the pin (so while parts and manifest are published), and after a manifest.
    for (word, times) in [("part", 1), ("part", PARTS + 3), ("pinned", 1), ("pinned", 3), ("finished", 2)] {
        let folder = tempfile::tempdir().unwrap();
        kill_at(folder.path(), word, times);
        let spool = folder.path().join("store/.spool");
        let left = std::fs::read_dir(&spool).unwrap().count();
        assert!(left > 0, "the killed process leaves its folder behind");

        let store = open(folder.path()).await;
        assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 2, "only the folder and the lock of this process");
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
}
