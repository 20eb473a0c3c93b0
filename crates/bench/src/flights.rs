//! The main example against the reference script: quality, wall time, memory, and the steps before and
//! after training.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::process::{Measured, Product, mean, measure, median, number};

struct Side {
    measured: Measured,
    log_loss: f64,
    auc: f64,
    /// Seconds of the steps before training, of training, and after it.
    before: f64,
    training: f64,
    after: f64,
}

pub(crate) fn run(product: &Product, python: &Path, seeds: u32, trials: u32) -> anyhow::Result<()> {
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for seed in 0..seeds {
        ours.push(ours_once(product, seed, trials)?);
        theirs.push(theirs_once(product, python, seed, trials)?);
        let (a, b) = (&ours[seed as usize], &theirs[seed as usize]);
        eprintln!(
            "seed {seed}: log loss {:.4} / {:.4}, AUC {:.4} / {:.4}, {:.1} s / {:.1} s",
            a.log_loss, b.log_loss, a.auc, b.auc, a.measured.wall, b.measured.wall
        );
    }
    println!("| flights, {trials} trials, {seeds} seeds | gristmill | reference | |");
    println!("|---|---|---|---|");
    let row = |name: &str, of: &dyn Fn(&Side) -> f64, digits: usize, ratio: bool| {
        let a: Vec<f64> = ours.iter().map(of).collect();
        let b: Vec<f64> = theirs.iter().map(of).collect();
        let (a, b, note) = if ratio {
            let (a, b) = (median(&a), median(&b));
            (a, b, format!("{:.2}× (median)", b / a))
        } else {
            let (a, b) = (mean(&a), mean(&b));
            (a, b, format!("{:+.4} (mean)", a - b))
        };
        println!("| {name} | {a:.digits$} | {b:.digits$} | {note} |");
    };
    row("log loss", &|s| s.log_loss, 4, false);
    row("AUC", &|s| s.auc, 4, false);
    row("wall, s", &|s| s.measured.wall, 1, true);
    row("CPU, s", &|s| s.measured.cpu, 1, true);
    row("peak memory, MiB", &|s| s.measured.peak_mib, 0, true);
    row("steps before training, s", &|s| s.before, 2, true);
    row("training and refit, s", &|s| s.training, 1, true);
    row("steps after training, s", &|s| s.after, 2, true);
    Ok(())
}

fn ours_once(product: &Product, seed: u32, trials: u32) -> anyhow::Result<Side> {
    let data = tempfile::tempdir()?;
    let (seed, trials) = (format!("seed={seed}"), format!("trials={trials}"));
    let args = ["run", "examples/flights/pipeline.yaml", "--output", "json", "--param", &seed, "--param", &trials];
    let (measured, result) = product.json(data.path(), &args)?;
    let seconds = |wanted: &[&str]| -> f64 {
        let steps = result.get("steps").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let of = |step: &&Value| step.get("stage").and_then(Value::as_str).is_some_and(|stage| wanted.contains(&stage));
        steps.iter().filter(of).filter_map(|step| step.get("seconds")?.as_f64()).sum()
    };
    Ok(Side {
        log_loss: number(&result, "evaluation.metrics.log_loss.value")?,
        auc: number(&result, "evaluation.metrics.roc_auc.value")?,
        before: seconds(&["ingestion", "preparation"]),
        training: seconds(&["training"]),
        after: seconds(&["evaluation", "registration", "promotion", "report"]),
        measured,
    })
}

fn theirs_once(product: &Product, python: &Path, seed: u32, trials: u32) -> anyhow::Result<Side> {
    let mut command = Command::new(python);
    command.current_dir(&product.root).arg("examples/flights/reference.py").args([
        "--threads",
        "2",
        "--seed",
        &seed.to_string(),
        "--trials",
        &trials.to_string(),
    ]);
    let measured = measure(command)?;
    if measured.code != Some(0) {
        bail!("the reference script failed: pip install pandas pyarrow scikit-learn lightgbm");
    }
    let result: Value = serde_json::from_str(&measured.stdout).context("the reference script prints JSON")?;
    Ok(Side {
        log_loss: number(&result, "metrics.log_loss")?,
        auc: number(&result, "metrics.roc_auc")?,
        before: number(&result, "seconds.extract")? + number(&result, "seconds.prepare")?,
        training: number(&result, "seconds.train")? + number(&result, "seconds.refit")?,
        after: number(&result, "seconds.evaluate")?,
        measured,
    })
}
