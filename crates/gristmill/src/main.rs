//! `gristmill`: the command line and the all-in-one server.

use std::process::ExitCode;

/// Gives memory back to the system after a run; the system's own allocator kept most of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gristmill::main()
}
