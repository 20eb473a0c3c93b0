//! Asking for the end of a job.

use gristmill_types::{JobId, JobState, Project};

use super::Inner;
use super::unit::Unit;
use crate::{Job, LedgerError};

impl Inner {
    pub(super) async fn cancel(&self, project: &Project, id: JobId, actor: Option<&str>) -> Result<Job, LedgerError> {
        let mut unit = Unit::begin(self).await?;
        let mut stored = unit.load_of(project, id).await?;
        match stored.job.state {
            JobState::Succeeded | JobState::Failed => {
                return Err(LedgerError::TooLate { id, state: stored.job.state });
            }
            JobState::Cancelled => return Ok(stored.job),
            JobState::Queued | JobState::Running => {}
        }
        unit.cancel_one(&mut stored, actor).await?;
        unit.cancel_children(id, actor).await?;
        unit.commit().await?;
        Ok(stored.job)
    }
}
