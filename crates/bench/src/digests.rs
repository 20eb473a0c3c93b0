//! Same bytes at any number of workers and threads.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::process::Product;

/// Kinds and digests of every artifact that a run made.
pub(crate) fn artifacts(result: &Value) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let list = result.get("artifacts").and_then(Value::as_array).context("the run lists its artifacts")?;
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for artifact in list {
        let text = |key: &str| artifact.get(key).and_then(Value::as_str).map(str::to_owned);
        let (kind, digest) = text("kind").zip(text("digest")).context("an artifact has a kind and a digest")?;
        kinds.entry(kind).or_default().push(digest);
    }
    for digests in kinds.values_mut() {
        digests.sort();
    }
    Ok(kinds)
}

pub(crate) fn run(product: &Product) -> anyhow::Result<()> {
    let mut first: Option<BTreeMap<String, Vec<String>>> = None;
    for (workers, threads) in [("1", "1"), ("2", "1"), ("1", "2"), ("2", "2")] {
        let data = tempfile::tempdir()?;
        let mut command = product.command(
            data.path(),
            &["run", "examples/flights/pipeline.yaml", "--output", "json", "--workers", workers, "--param", "trials=8"],
        );
        command.env("RAYON_NUM_THREADS", threads).env("POLARS_MAX_THREADS", threads);
        let measured = crate::process::measure(command)?;
        let result: Value = serde_json::from_str(&measured.stdout).context("the run prints JSON")?;
        let found = artifacts(&result)?;
        eprintln!("{workers} workers, {threads} threads: {:.1} s, {} kinds", measured.wall, found.len());
        match &first {
            None => first = Some(found),
            Some(first) if *first == found => {}
            Some(first) => {
                let differing: Vec<&String> =
                    first.keys().filter(|kind| first.get(*kind) != found.get(*kind)).collect();
                bail!("{workers} workers and {threads} threads give other bytes: {differing:?}");
            }
        }
    }
    let kinds = first.unwrap_or_default();
    println!("| kind | digests equal in 4 runs (1 and 2 workers × 1 and 2 threads) |");
    println!("|---|---|");
    for (kind, digests) in kinds {
        println!("| {kind} | {} |", digests.len());
    }
    Ok(())
}
