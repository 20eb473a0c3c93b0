#![doc = include_str!("../README.md")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test whose server cannot be had fails where it stands")]

mod again;
mod binaries;
mod server;

pub use again::{BACKEND, database, run_again};
pub use binaries::{Binaries, REQUIRE};
pub use server::{Database, Server};
