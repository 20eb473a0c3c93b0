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
    let start = Instant::now();
    writer.part_file("source.bin", &source).await?;
    let spooled = start.elapsed().as_secs_f64();
    let artifact = writer.finish(&Unpinned).await?;
    let durable = start.elapsed().as_secs_f64();
    report("spool + hash (whole and per chunk)", mib, spooled);
    report("the same, synced and published", mib, durable);

    let part = project.open(&artifact).await?.part("source.bin")?;
    let start = Instant::now();
    let bytes = part.bytes().await?;
    report("verified map", mib, start.elapsed().as_secs_f64());
    drop(bytes);
    let start = Instant::now();
    let read = part.stream().try_fold(0, |sum, piece| async move { Ok(sum + piece.len()) }).await?;
    report("verified stream", read >> 20, start.elapsed().as_secs_f64());

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

fn report(what: &str, mib: usize, seconds: f64) {
    println!("{what:40} {:8.0} MB/s ({seconds:.2} s)", mib as f64 * 1.048_576 / seconds);
}
