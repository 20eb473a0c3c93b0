//! How long and how often a call to the object store is tried.

use std::time::Duration;

use async_trait::async_trait;
use object_store::client::HttpErrorKind;
use object_store::retry::{RetryContext, RetryFailure, RetryPolicy};
use object_store::{Error, Result};

use crate::settings::Remote;

const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Bounds of one call: it ends after at most `tries` times the longest call and the pauses between.
///
/// The clients' own retries are off, so that tries are counted in one place. This is also the only place
/// that sees an answer lost after the work was done: whoever puts looks first, on every try.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    tries: u32,
    pause: Duration,
    /// None for a folder: a system call cannot be left, and does not hang for want of a peer.
    longest_call: Option<Duration>,
}

impl Patience {
    /// For a folder: what fails once fails.
    pub(crate) const fn once() -> Self {
        Self { tries: 1, pause: Duration::ZERO, longest_call: None }
    }

    pub(crate) fn of(remote: &Remote) -> Self {
        Self { tries: remote.tries, pause: remote.pause, longest_call: Some(remote.request_timeout) }
    }

    /// How often something may be tried.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// Calls until it works, or is refused, or the tries are used up.
    pub(crate) async fn call<T, F, Work>(&self, doing: &'static str, mut work: F) -> Result<T>
    where
        F: FnMut() -> Work,
        Work: Future<Output = Result<T>>,
    {
        self.call_unlimited(doing, || self.limit(work())).await
    }

    /// As [`Self::call`], for work that bounds its own steps.
    pub(crate) async fn call_unlimited<T, F, Work>(&self, doing: &'static str, mut work: F) -> Result<T>
    where
        F: FnMut() -> Work,
        Work: Future<Output = Result<T>>,
    {
        let mut tried = 1;
        loop {
            match work().await {
                Err(error) if tried < self.tries && is_transient(&error) => {
                    tracing::warn!(doing, tried, error = %error, "the object store failed, trying again");
                    self.wait(tried).await;
                    tried += 1;
                }
                done => return done,
            }
        }
    }

    /// One call, ended when it takes too long.
    pub(crate) async fn limit<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        within(self.longest_call, work).await
    }

    /// A call that is tried inside itself, such as a piece of a multipart upload.
    pub(crate) async fn limit_tried<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let longest = self.longest_call.map(|call| (call + self.pause_after(self.tries)) * self.tries);
        within(longest, work).await
    }

    /// The pause after the try of this number.
    pub(crate) async fn wait(&self, tried: u32) {
        tokio::time::sleep(spread(self.pause_after(tried))).await;
    }

    fn pause_after(&self, tried: u32) -> Duration {
        self.pause.saturating_mul(1 << tried.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
    }
}

async fn within<T>(limit: Option<Duration>, work: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(limit) = limit else { return work.await };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let source = format!("no answer within {limit:?}").into();
        Err(Error::Generic { store: "artifact store", source })
    })
}

/// Between half of it and all of it, so that processes that failed together do not come back together. What
/// differs between processes and calls is enough for that, and nothing that is computed depends on it.
fn spread(pause: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let share = RandomState::new().hash_one(std::process::id()) % 1_000;
    pause / 2 + pause.mul_f64(0.0005 * share as f64)
}

/// Whether trying again can help. Whatever has a meaning of its own is an answer.
pub(crate) fn is_transient(error: &Error) -> bool {
    match error {
        Error::Generic { .. } => !is_refusal(&error.to_string()),
        Error::JoinError { .. } => true,
        _ => false,
    }
}

/// The clients give a refusal (4xx, not implemented) that has no variant of its own only as text.
fn is_refusal(text: &str) -> bool {
    let code = text.split("status code: ").nth(1).and_then(|rest| rest.get(..3));
    code.is_some_and(|code| code == "501" || (code.starts_with('4') && !matches!(code, "408" | "409" | "429")))
        || text.contains("redirect without LOCATION")
}

/// Tries one piece of a multipart upload again: only the client that made it can do that.
#[async_trait]
impl RetryPolicy for Patience {
    async fn retry(&self, context: RetryContext) -> bool {
        let transient = match context.failure {
            RetryFailure::Status(status) => {
                status.is_success() || status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 429)
            }
            RetryFailure::Transport(kind) => kind != HttpErrorKind::Decode,
            _ => false,
        };
        let tried = u32::try_from(context.attempt).unwrap_or(u32::MAX);
        if !transient || tried >= self.tries {
            return false;
        }
        tracing::warn!(tried, failure = ?context.failure, "a piece of an upload failed, trying again");
        self.wait(tried).await;
        true
    }
}
