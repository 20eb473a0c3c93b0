//! What can be set about the stage.

use serde::{Deserialize, Serialize};

/// Settings of the stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Runs that one process follows at a time; each only waits for other stages.
    pub runs_at_a_time: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { runs_at_a_time: 16 }
    }
}
