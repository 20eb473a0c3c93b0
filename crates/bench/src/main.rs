//! Measures the built product beside its peers, in one run on one machine, and prints Markdown rows
//! for `RESULTS.md`.
//!
//! `cargo build --release && cargo run --release -p gristmill-bench -- flights`

mod digests;
mod flights;
mod kills;
mod overhead;
mod process;
mod serve;
mod up;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Gristmill beside its peers")]
struct Cli {
    /// The built binary.
    #[arg(long, default_value = "target/release/gristmill", global = true)]
    binary: PathBuf,
    /// Interpreter for the reference scripts.
    #[arg(long, default_value = "python3", global = true)]
    python: PathBuf,
    /// Root of the checkout.
    #[arg(long, default_value = ".", global = true)]
    root: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The flights example against pandas, scikit-learn and LightGBM with the same trials and threads.
    Flights {
        /// Seeds; figures are means over them.
        #[arg(long, default_value_t = 5)]
        seeds: u32,
        /// Trials of the study, on both sides.
        #[arg(long, default_value_t = 20)]
        trials: u32,
    },
    /// Single-row REST predictions against a bare axum JSON echo.
    Serve {
        /// Seconds per measurement.
        #[arg(long, default_value_t = 8)]
        seconds: u64,
        /// Connections of the load.
        #[arg(long, default_value_t = 8)]
        connections: usize,
        /// Measurements of each side, alternating.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Boosting rounds of the model that is served.
        #[arg(long, default_value_t = 300)]
        trees: u32,
    },
    /// How soon `up` is ready, and what it holds when idle and after the flights.
    Up {
        /// Starts to measure.
        #[arg(long, default_value_t = 11)]
        starts: usize,
    },
    /// Equal digests at 1 and 2 workers, 1 and 2 threads.
    Digests,
    /// Five kills at random moments, then resume.
    Kills {
        /// Seed of the moments.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Overhead per step of a pipeline with next to nothing to compute, and the time to the first
    /// leaderboard.
    Overhead,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let product = process::Product::find(&cli.binary, &cli.root)?;
    match cli.command {
        Command::Flights { seeds, trials } => flights::run(&product, &cli.python, seeds, trials),
        Command::Serve { seconds, connections, rounds, trees } => {
            serve::run(&product, seconds, connections, rounds, trees)
        }
        Command::Up { starts } => up::run(&product, starts),
        Command::Digests => digests::run(&product),
        Command::Kills { seed } => kills::run(&product, seed),
        Command::Overhead => overhead::run(&product),
    }
}
