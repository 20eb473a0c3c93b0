//! Five kills at random moments, then resume: what is done stays done.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::Value;

use crate::digests::artifacts;
use crate::process::{Product, Running, cpu_of, measure};

/// The command of the README.
const ARGS: [&str; 4] = ["run", "examples/flights/pipeline.yaml", "--output", "json"];

pub(crate) fn run(product: &Product, seed: u64) -> anyhow::Result<()> {
    let calm = tempfile::tempdir()?;
    let (undisturbed, expected) = product.json(calm.path(), &ARGS)?;
    eprintln!("undisturbed: {:.1} s wall, {:.1} s CPU", undisturbed.wall, undisturbed.cpu);

    let data = tempfile::tempdir()?;
    let mut draw = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut cpu = 0.0;
    for kill in 1..=5 {
        let moment = Duration::from_secs_f64(undisturbed.wall * draw.gen_range(0.05..0.3));
        let mut command = product.command(data.path(), &ARGS);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Running(command.spawn()?);
        std::thread::sleep(moment);
        if let Some(status) = running.0.try_wait()? {
            eprintln!("kill {kill}: the run had ended with {status} before {moment:.1?}");
            continue;
        }
        cpu += cpu_of(running.0.id())?;
        running.0.kill()?;
        running.0.wait()?;
        eprintln!("kill {kill} after {moment:.1?}");
    }
    let last = measure(product.command(data.path(), &ARGS))?;
    if last.code != Some(0) && last.code != Some(3) {
        bail!("the resumed run ended with {:?}", last.code);
    }
    let result: Value = serde_json::from_str(&last.stdout).context("the run prints JSON")?;
    let same = artifacts(&expected)? == artifacts(&result)?;
    let steps = result.get("steps").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let cached: Vec<&str> = steps
        .iter()
        .filter(|step| step.get("cached").and_then(Value::as_bool) == Some(true))
        .filter_map(|step| step.get("stage")?.as_str())
        .collect();
    println!("| five kills, seed {seed} | |");
    println!("|---|---|");
    println!("| same digests as the undisturbed run | {} |", if same { "yes" } else { "no" });
    println!("| steps answered from earlier attempts at the end | {} |", cached.join(", "));
    println!("| total CPU over the undisturbed run's | {:.2}× |", (cpu + last.cpu) / undisturbed.cpu);
    if !["ingestion", "preparation"].iter().all(|step| cached.contains(step)) {
        bail!("steps that were done before the kills are not reported as cached: {cached:?}");
    }
    if same { Ok(()) } else { bail!("the resumed run gave other bytes") }
}
