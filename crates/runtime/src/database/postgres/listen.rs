//! Hearing of other processes' changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Executor as _, PgPool};
use tokio::sync::mpsc;

use crate::database::DatabaseError;

/// After so long without a word the listener says one itself; if it does not hear that either, the
/// connection leads nowhere (or through a pool that drops notifications).
const SILENCE: Duration = Duration::from_secs(10);
/// Between attempts to connect again.
const AGAIN: Duration = Duration::from_secs(1);
/// Messages that wait for their reader.
const WAITING: usize = 1_024;
/// What a listener says to hear itself.
const ECHO: &str = ".";

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// What [`super::super::Tx::notify`] said in some process, this one included.
    Message(String),
    /// Messages may have been missed: look at the tables.
    Gap,
}

/// Hears what transactions on a schema tell when they are committed. Never fails: it connects again by
/// itself, and says when it may have missed something.
#[derive(Debug)]
pub struct Listener {
    heard: mpsc::Receiver<Heard>,
    connected: Arc<AtomicBool>,
}

impl Listener {
    pub(super) fn start(options: PgConnectOptions, writers: PgPool, channel: String) -> Self {
        let (sender, heard) = mpsc::channel(WAITING);
        let connected = Arc::new(AtomicBool::new(false));
        let line = Line { options, writers, channel, heard: sender, connected: Arc::clone(&connected) };
        tokio::spawn(line.hold());
        Self { heard, connected }
    }

    /// The next thing heard; none when the process ends.
    pub async fn heard(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }

    /// Whether messages arrive now; else look at the tables from time to time.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::SeqCst)
    }
}

/// The listener's connection.
struct Line {
    options: PgConnectOptions,
    writers: PgPool,
    channel: String,
    heard: mpsc::Sender<Heard>,
    connected: Arc<AtomicBool>,
}

impl Line {
    /// Listens until nobody hears it any longer.
    async fn hold(self) {
        while !self.heard.is_closed() && !self.writers.is_closed() {
            let ended = tokio::select! {
                ended = self.session() => ended,
                () = self.heard.closed() => return,
            };
            if self.connected.swap(false, Ordering::SeqCst)
                && let Err(error) = ended
            {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "news of other processes do not arrive, looking every second instead");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// One connection's life.
    async fn session(&self) -> Result<(), DatabaseError> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(SILENCE)
            .max_lifetime(None)
            .idle_timeout(None)
            // A statement timeout is for statements, and this one only waits.
            .connect_lazy_with(self.options.clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(&self.channel).await?;
        self.echo().await?;
        let mut asked = true;
        loop {
            match tokio::time::timeout(SILENCE, listener.try_recv()).await {
                Err(_) if asked => return Err(DatabaseError::unreachable()),
                Err(_) => {
                    self.echo().await?;
                    asked = true;
                }
                Ok(Ok(Some(heard))) => {
                    asked = false;
                    // Heard for the first time: what came before it was not.
                    if !self.connected.swap(true, Ordering::SeqCst) {
                        self.pass(Heard::Gap).await;
                    }
                    if heard.payload() != ECHO {
                        self.pass(Heard::Message(heard.payload().to_owned())).await;
                    }
                }
                Ok(Ok(None)) => return Err(DatabaseError::unreachable()),
                Ok(Err(error)) => return Err(error.into()),
            }
        }
    }

    async fn pass(&self, heard: Heard) {
        // Nobody hears it any longer: `hold` sees that too.
        let _ = self.heard.send(heard).await;
    }

    async fn echo(&self) -> Result<(), DatabaseError> {
        let say = sqlx::query("select pg_notify($1, $2)").bind(self.channel.clone()).bind(ECHO);
        tokio::time::timeout(SILENCE, self.writers.execute(say)).await.map_err(|_| DatabaseError::unreachable())??;
        Ok(())
    }
}
