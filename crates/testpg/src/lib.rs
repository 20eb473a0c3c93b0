#![doc = include_str!("../README.md")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test whose server cannot be had fails where it stands")]

mod binaries;
mod server;

pub use binaries::{Binaries, REQUIRE};
pub use server::{Database, Server};
