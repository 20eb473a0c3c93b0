#![doc = include_str!("../README.md")]
#![expect(clippy::unwrap_used, reason = "a sandbox that cannot be set up fails its test where it stands")]

mod artifacts;
mod sandbox;

pub use artifacts::{producer, put};
pub use sandbox::{Sandbox, Started};
