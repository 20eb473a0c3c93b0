//! `gristmill`: the command line and the all-in-one server.

use std::process::ExitCode;

fn main() -> ExitCode {
    gristmill::main()
}
