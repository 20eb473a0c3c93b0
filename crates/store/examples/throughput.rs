//! Measures how fast artifact bytes go in and out of a folder store:
//! `cargo run --release -p gristmill-store --example throughput -- FOLDER [MIB]`.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use futures::TryStreamExt;
use gristmill_store::{Location, Producer, Store, StoreConfig, Unpinned};
use gristmill_types::{ArtifactKind, Digest, Name, Project, SystemClock};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().ok_or("name a folder")?);
    let mib: usize = args.next().map_or(Ok(1024), |text| text.parse())?;
    std::fs::create_dir_all(&folder)?;
    let source = folder.join("source.bin");
    write_source(&source, mib)?;

    let config = StoreConfig::new(Location::Local(folder.canonicalize()?.join("store")), folder.join("cache"));
    let store = Store::open(&config, Arc::new(SystemClock)).await?;
    let project = store.project(&Project::default());
    let producer = Producer {
        cpu_class: Name::new("any")?,
        logic_version: 1,
        spec_digest: Digest::of(b"throughput"),
        stage: Name::new("bench")?,
    };

    let mut writer = project.write(ArtifactKind::Source, producer.clone(), []);
    let start = Since::now();
    writer.part_file("source.bin", &source).await?;
    start.report("spool + hash (whole and per chunk)", mib);
    let artifact = writer.finish(&Unpinned).await?;
    start.report("the same, synced and published", mib);

    let part = project.open(&artifact).await?.part("source.bin")?;
    let start = Since::now();
    let bytes = part.bytes().await?;
    start.report("verified map", mib);
    drop(bytes);
    let start = Since::now();
    let read = part.stream().try_fold(0, |sum, piece| async move { Ok(sum + piece.len()) }).await?;
    start.report("verified stream", read >> 20);

    let start = Instant::now();
    let rounds = 50_u32;
    for round in 0..rounds {
        let mut writer = project.write(ArtifactKind::Profile, producer.clone(), []);
        writer.part_bytes("profile.json", format!("{{\"round\":{round}}}")).await?;
        writer.finish(&Unpinned).await?;
    }
    let each = start.elapsed().as_secs_f64() * 1000.0 / f64::from(rounds);
    println!("{:40} {each:8.2} ms each", "small artifact, one part, synced");
    Ok(())
}

fn write_source(path: &std::path::Path, mib: usize) -> Result<(), Failure> {
    let mut file = std::fs::File::create(path)?;
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut block = Vec::with_capacity(1 << 20);
    for _ in 0..mib {
        block.clear();
        while block.len() < 1 << 20 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block)?;
    }
    file.sync_all()?;
    Ok(())
}

/// Seconds of CPU that this process has used, threads included (Linux; 100 ticks a second).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15; the second field may hold spaces but ends with the last parenthesis.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// A moment, and the CPU used until then.
struct Since(Instant, f64);

impl Since {
    fn now() -> Self {
        Self(Instant::now(), cpu_seconds())
    }

    fn report(&self, what: &str, mib: usize) {
        let (wall, cpu) = (self.0.elapsed().as_secs_f64(), cpu_seconds() - self.1);
        println!("{what:40} {:8.0} MB/s ({wall:.2} s, {cpu:.2} s of CPU)", mib as f64 * 1.048_576 / wall);
    }
}
