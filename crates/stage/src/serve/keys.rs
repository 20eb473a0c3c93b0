//! What a program is called and which settings are its own.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Peer;

/// Settings of one program, under a key of their own in the configuration, and what is fixed about it.
pub trait Keys: Default + Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static {
    /// The program's name.
    const BINARY: &'static str;
    /// One line for `--help`.
    const ABOUT: &'static str;
    /// The key above its own settings, such as `serving`.
    const SECTION: &'static str;
    /// The last part of the default data directory.
    const FOLDER: &'static str = Self::SECTION;
    /// Default ports of gRPC and HTTP on loopback; none for a program that serves nobody.
    const PORTS: Option<(u16, u16)>;
    /// The stages it calls.
    const PEERS: &'static [Peer] = &[];
    /// The stages that it only asks what they hold, before garbage is collected. It is ready without them,
    /// since two of them may wait for it, and starts without the endpoint of one; then nothing is collected.
    const HOLDERS: &'static [Peer] = &[];

    /// Runs `work` on every thread of an engine that the program keeps, so that each gives memory back.
    fn in_engine_threads(work: &(dyn Fn() + Sync)) {
        work();
    }
}
