//! Waiting for a stage's job.

use std::time::Duration;

use gristmill_proto::job::{Job, JobState};
use gristmill_rpc::Status;
use indicatif::ProgressBar;

use crate::failure::{self, Failure};
use crate::progress::{advance, ended};
use crate::session::Session;

/// First pause between two looks at a job; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Looks at a job until it has ended, and answers the last look. `what` names the work for people.
///
/// # Errors
/// The job failed or was cancelled, the service cannot be asked, the disk is full, or this command is to stop.
pub async fn wait<T>(
    session: &Session,
    what: &str,
    bar: &ProgressBar,
    mut look: impl AsyncFnMut() -> Result<T, Status>,
    job: impl Fn(&T) -> Option<&Job>,
) -> Result<T, Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        let seen = look().await?;
        let state = job(&seen).map_or(JobState::Unspecified, Job::state);
        if let Some(progress) = job(&seen).and_then(|job| job.progress.as_ref()) {
            advance(bar, progress);
        }
        if ended(state) {
            bar.finish_and_clear();
            return match state {
                JobState::Succeeded => Ok(seen),
                JobState::Cancelled => Err(Failure::failed(format!("{what} was cancelled"))),
                _ => Err(failure::job(what, job(&seen).and_then(|job| job.error.as_ref()))),
            };
        }
        session.room()?;
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = session.process.shutdown.requested() => return Err(stopped(what, session.is_local())),
        }
    }
}

/// What a command that was interrupted says.
pub fn stopped(what: &str, local: bool) -> Failure {
    Failure::failed(if local {
        format!("{what} was interrupted: the same command again continues it")
    } else {
        format!("no longer waiting for {what}; the server goes on with it")
    })
}
