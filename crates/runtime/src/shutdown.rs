//! Ending a process: the first signal drains, the second kills.

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The exit code of a process ended by a second signal, as shells report an interrupt.
pub const KILLED: i32 = 130;

/// Says whether the process should drain. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// Nobody has asked for a stop yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the drain; asking again changes nothing.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// Whether the drain has started.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits for the start of the drain.
    pub fn requested(&self) -> WaitForCancellationFutureOwned {
        self.token.clone().cancelled_owned()
    }

    /// A token that is cancelled by the drain, and whose own cancellation concerns nobody else.
    pub fn child(&self) -> CancellationToken {
        self.token.child_token()
    }

    /// Listens to SIGINT and SIGTERM until the process ends: the first starts the drain, the second
    /// ends the process with [`KILLED`]. Returns once both handlers are in place, so that no signal
    /// sent afterwards is lost.
    ///
    /// # Errors
    /// The system refused a signal handler.
    pub fn listen(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if shutdown.is_requested() {
                    tracing::warn!("second signal, ending without draining");
                    std::process::exit(KILLED);
                }
                tracing::info!("draining, signal again to end at once");
                shutdown.request();
            }
        });
        Ok(())
    }
}
