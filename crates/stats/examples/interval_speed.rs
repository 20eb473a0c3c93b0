//! Times 1,000 replicates of all binary metrics on 65,000 rows of 74 units, and by row: `cargo run --release -p
//! gristmill-stats --example interval_speed`.

use std::time::Instant;

use gristmill_stats::interval::{Replicates, Resampling, Units};
use gristmill_stats::metric::Scores;
use gristmill_stats::random::{generator, uniform};
use gristmill_stats::special::{logistic, normal_quantile};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut generator = generator(1, "example", 0);
    let mut normal = || normal_quantile(uniform(&mut generator).max(1e-12));
    let (mut truth, mut probability) = (Vec::new(), Vec::new());
    for _ in 0..65_000 {
        let z = normal() - 1.0;
        truth.push(z + normal() > 0.0);
        probability.push(logistic(z));
    }
    let scores = Scores::binary(truth, probability, 0.4)?;
    for (what, units) in
        [("74 units", Units::from_labels((0..65_000).map(|row| row / 879))), ("rows", Units::rows(65_000))]
    {
        let start = Instant::now();
        let estimates = Replicates::of(&scores, &units, Resampling::default())?.estimates();
        println!("{what}: {:.2} s", start.elapsed().as_secs_f64());
        for estimate in estimates.metrics {
            println!("  {} {:?} {:?} {:?}", estimate.metric, estimate.value, estimate.interval, estimate.design_effect);
        }
    }
    Ok(())
}
