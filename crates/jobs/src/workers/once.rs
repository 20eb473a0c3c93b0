//! One attempt from claim to its end.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use gristmill_runtime::database::DatabaseError;
use tokio::time::MissedTickBehavior;

use crate::attempt::{Why, panicked};
use crate::{Attempt, JobError, Leases, LedgerError, Outcome, StageRows, Work};

/// What work that was told to stop may take to do so; then it is dropped at its await point.
const TO_STOP: Duration = Duration::from_secs(5);
/// Progress is carried at most this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// How often resident memory is sampled.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Waits between repeated calls that end an attempt; after the last one the lease runs out.
const REPEAT: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1_600),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
];

/// Does one attempt: runs the work while heartbeats keep the lease, then commits, fails or releases.
pub(super) async fn attempt<W: Work>(
    leases: &dyn Leases,
    work: &W,
    rows: &dyn StageRows,
    attempt: Attempt,
    drained: impl Future<Output = ()>,
) {
    let ended = {
        let run = std::pin::pin!(run_until_stopped(work, &attempt));
        let aside = std::pin::pin!(async { tokio::join!(keep_lease(leases, &attempt), drained) });
        tokio::select! {
            ended = run => ended,
            (never, ()) = aside => match never {},
        }
    };
    finish(leases, rows, &attempt, ended).await;
}

/// Runs the work; when it is told to stop, waits a little and then drops it.
async fn run_until_stopped<W: Work>(work: &W, attempt: &Attempt) -> Result<Outcome, JobError> {
    let run = AssertUnwindSafe(work.run(attempt.clone())).catch_unwind();
    let patience = async {
        let stopped = attempt.cancelled().await;
        if attempt.cancel().why() != Some(Why::Lost) {
            tokio::time::sleep(TO_STOP).await;
        }
        stopped
    };
    tokio::select! {
        biased;
        ended = run => ended.unwrap_or_else(|_| Err(panicked())),
        stopped = patience => Err(stopped),
    }
}

/// Never returns: sends heartbeats, carries progress, and tells the work to stop when it should.
async fn keep_lease(leases: &dyn Leases, attempt: &Attempt) -> std::convert::Infallible {
    let mut beat = tokio::time::interval(leases.beat_every(attempt.lasts()));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sample = tokio::time::interval(SAMPLE_EVERY);
    sample.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut progress = attempt.progress_bell();
    // The work may have spoken before anybody listened.
    progress.mark_changed();
    let mut interrupted = leases.interrupted(attempt.lease()).fuse();
    beat.tick().await;
    loop {
        let coalesce = tokio::select! {
            _ = beat.tick() => false,
            _ = sample.tick() => {
                attempt.sample_memory();
                continue;
            }
            changed = progress.changed() => {
                if changed.is_err() {
                    std::future::pending::<()>().await;
                }
                true
            }
            () = &mut interrupted => false,
        };
        if coalesce {
            tokio::time::sleep(PROGRESS_EVERY).await;
        }
        let now = progress.borrow_and_update().clone();
        match leases.heartbeat(attempt.lease(), now).await {
            Ok(beat) if beat.cancel => attempt.cancel().stop(Why::Asked),
            Ok(_) => {}
            Err(LedgerError::LeaseLost { .. } | LedgerError::NotFound { .. }) => attempt.cancel().stop(Why::Lost),
            // The work goes on: an outage costs nothing as long as the commit gets through.
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "heartbeat not delivered"),
        }
    }
}

/// Tells the ledger how the attempt ended.
async fn finish(leases: &dyn Leases, rows: &dyn StageRows, attempt: &Attempt, ended: Result<Outcome, JobError>) {
    let observed = attempt.observed();
    let lease = attempt.lease();
    let told = match (ended, attempt.cancel().why()) {
        (_, Some(Why::Lost)) => {
            tracing::warn!("lease lost, the attempt is dropped");
            return;
        }
        (Ok(outcome), _) => {
            match repeat(|| leases.commit(lease, &outcome, observed, rows)).await {
                // The stage's rows are refused, or the result is too large, or the database does not come
                // back: the attempt has failed.
                Err(error @ (LedgerError::Rows(_) | LedgerError::TooLarge { .. })) => {
                    let error = match error {
                        LedgerError::Rows(error) => error,
                        other => other.into(),
                    };
                    log_failure(&error);
                    repeat(|| leases.fail(lease, &error, observed)).await
                }
                told => told,
            }
        }
        (Err(error), Some(Why::Drained)) if error.is_interrupted() => repeat(|| leases.release(lease)).await,
        (Err(error), _) => {
            log_failure(&error);
            repeat(|| leases.fail(lease, &error, observed)).await
        }
    };
    match told {
        Ok(()) => tracing::debug!("attempt ended"),
        Err(LedgerError::Cancelled { .. }) => tracing::info!("cancelled before the commit"),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the end of the attempt was not recorded");
        }
    }
}

fn log_failure(error: &JobError) {
    if error.is_interrupted() {
        tracing::info!("attempt stopped");
    } else {
        tracing::warn!(reason = error.reason, error = error as &dyn std::error::Error, "attempt failed");
    }
}

/// Whether the same call may be answered later. Refused rows of a stage stay refused, unless it was the
/// database that failed.
fn may_repeat(error: &LedgerError) -> bool {
    match error {
        LedgerError::Rows(_) => error.database().is_some_and(DatabaseError::is_transient),
        _ => error.is_transient(),
    }
}

/// Repeats a call that may be repeated until it is answered.
async fn repeat<F, T>(call: F) -> Result<(), LedgerError>
where
    F: Fn() -> T,
    T: Future<Output = Result<(), LedgerError>>,
{
    for wait in REPEAT {
        match call().await {
            Err(error) if may_repeat(&error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the ledger did not answer, trying again");
                tokio::time::sleep(wait).await;
            }
            told => return told,
        }
    }
    call().await
}
