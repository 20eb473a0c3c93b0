//! What the platform itself costs: a pipeline with next to nothing to compute, and the time to the
//! first leaderboard of a CSV.

use std::fmt::Write as _;

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::Value;

use crate::process::{Product, median};

/// A CSV of `rows` with numbers, categories and a target that depends on them.
pub(crate) fn csv(rows: usize, seed: u64) -> String {
    let mut draw = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut text = String::from("a,b,c,city,plan,y\n");
    for _ in 0..rows {
        let (a, b, c): (f64, f64, f64) =
            (draw.gen_range(-2.0..2.0), draw.gen_range(0.0..10.0), draw.gen_range(0.0..1.0));
        let city = ["Bern", "Genoa", "Lyon", "Graz", "Ghent"][draw.gen_range(0..5)];
        let plan = ["free", "team", "plus"][draw.gen_range(0..3)];
        let lift = if plan == "team" { 0.8 } else { 0.0 } + if city == "Lyon" { 0.5 } else { 0.0 };
        let yes = a * a + 0.1 * b + lift + draw.gen_range(-1.0..1.0) > 2.2;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{a:.4},{b:.3},{c:.4},{city},{plan},{}", if yes { "yes" } else { "no" });
    }
    text
}

pub(crate) fn run(product: &Product) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let tiny = folder.path().join("tiny.csv");
    std::fs::write(&tiny, csv(200, 1))?;
    let mut per_step = Vec::new();
    for round in 0..5 {
        let data = folder.path().join(format!("data-{round}"));
        let args = ["run", &tiny.to_string_lossy(), "--target", "y", "--trials", "1", "--output", "json"];
        let (measured, result) = product.json_in(folder.path(), &data, &args)?;
        let steps = result.get("steps").and_then(Value::as_array).map_or(1, Vec::len);
        per_step.push(measured.wall * 1000.0 / steps as f64);
    }
    println!("| what | figure |");
    println!("|---|---|");
    println!("| 200 rows, 1 trial: wall per step, process start included, ms | {:.0} |", median(&per_step));
    let medium = folder.path().join("medium.csv");
    std::fs::write(&medium, csv(10_000, 2))?;
    let data = folder.path().join("medium");
    let (measured, _) = product.json_in(
        folder.path(),
        &data,
        &["run", &medium.to_string_lossy(), "--target", "y", "--output", "json"],
    )?;
    println!("| 10,000-row CSV to leaderboard and report, s | {:.1} |", measured.wall);
    Ok(())
}
