//! What every part of a process is handed instead of reaching for a global.

use std::sync::Arc;

use gristmill_types::{Clock, SystemClock};

use crate::{Metrics, Shutdown};

/// The surroundings of a stage: time, metrics and the wish to stop. Cheap to clone; clones share.
#[derive(Debug, Clone)]
pub struct Process {
    /// The only clock (I8): the machine's in a service, a manual one in tests.
    pub clock: Arc<dyn Clock>,
    /// The registry behind `/metrics`; each part registers its own once.
    pub metrics: Metrics,
    /// Set once the process should drain.
    pub shutdown: Shutdown,
}

impl Process {
    /// The surroundings of a real process: the machine's clock, a registry with the process's own
    /// figures, a shutdown that nothing has asked for yet.
    pub fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = Metrics::new(clock.now());
        Self { clock, metrics, shutdown: Shutdown::new() }
    }

    /// The same with a clock of the caller's choice.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let metrics = Metrics::new(clock.now());
        Self { clock, metrics, shutdown: Shutdown::new() }
    }
}

impl Default for Process {
    fn default() -> Self {
        Self::new()
    }
}
