//! The commands that run cargo itself.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::{codegen, postgres, tidy};

/// The README's test command. Cheap checks come first; cargo's own summary is the last line.
pub fn test(rest: &[String]) -> anyhow::Result<()> {
    tidy::run(false)?;
    codegen::run(true)?;
    let required = postgres::provide();
    if rest.is_empty() {
        run(&["test", "--workspace"], required)
    } else {
        let arguments: Vec<&str> = std::iter::once("test").chain(rest.iter().map(String::as_str)).collect();
        run(&arguments, required)
    }
}

/// Everything a change must pass.
pub fn ci() -> anyhow::Result<()> {
    cargo(&["fmt", "--all", "--", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    test(&[])
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    run(arguments, None)
}

/// Runs cargo, with a variable of its own if told.
fn run(arguments: &[&str], variable: Option<(&str, &str)>) -> anyhow::Result<()> {
    eprintln!("cargo {}", arguments.join(" "));
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(arguments).current_dir(codegen::root());
    // The outer cargo describes this package in the environment. Build scripts that look at these variables (ring's)
    // would then differ from a cargo that is called directly, and everything above them be built again, polars too.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    if let Some((name, value)) = variable {
        command.env(name, value);
    }
    let status = command.status().context("cargo cannot be started")?;
    ensure!(status.success(), "cargo {} failed", arguments.first().copied().unwrap_or_default());
    Ok(())
}
