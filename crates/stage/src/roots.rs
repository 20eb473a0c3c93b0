//! What stages keep from garbage collection: each answers over its tables, here or over the network.

mod held;
mod remote;
mod server;

pub use held::{LedgerRoots, StageRoots};
pub use remote::{Limits, RemoteRoots, Unreached};
pub use server::RootServer;
