//! Code generation, tidy checks and the test command: `cargo xtask <command>`.

mod codegen;
mod command;
mod postgres;
mod tidy;

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
    /// Checks the house rules: the crate graph, the invariants as far as text shows them, file form.
    Tidy {
        /// Write the crate graph as it is now into the golden file.
        #[arg(long)]
        bless: bool,
    },
    /// Runs tidy, the codegen check and every test of the workspace, those of PostgreSQL too where a server is or
    /// can be installed. What follows `--` goes to `cargo test`.
    Test {
        /// Such as `-p gristmill-stats` or a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Exactly what a change must pass: format, lints, tidy, codegen check, tests.
    Ci,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Codegen { check } => codegen::run(check),
        Command::Tidy { bless } => tidy::run(bless),
        Command::Test { rest } => command::test(&rest),
        Command::Ci => command::ci(),
    }
}
