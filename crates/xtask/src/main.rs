//! Code generation, tidy checks and the test command: `cargo xtask <command>`.

mod codegen;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Gristmill's chores")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the generated code of the contracts, or with `--check` compares it.
    Codegen {
        /// Fail if a committed file differs from what would be written.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Codegen { check } => codegen::run(check),
    }
}
