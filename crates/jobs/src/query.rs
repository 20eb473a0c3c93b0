//! Listing jobs, page by page, newest first.

use gristmill_types::{JobId, JobState, Project};

use crate::{Job, LedgerError};

/// Which jobs to list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListJobs {
    pub(crate) project: Project,
    pub(crate) kind: Option<String>,
    pub(crate) state: Option<JobState>,
    pub(crate) parent: Option<JobId>,
    pub(crate) size: u32,
    pub(crate) before: Option<JobId>,
}

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken(String);

/// Some jobs, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Where to go on; none on the last page.
    pub next: Option<PageToken>,
}

impl ListJobs {
    /// Jobs per page unless told.
    pub const SIZE: u32 = 50;
    /// Jobs per page at most.
    pub const MAX_SIZE: u32 = 500;

    /// All jobs of a project.
    pub fn of(project: &Project) -> Self {
        Self { project: project.clone(), kind: None, state: None, parent: None, size: Self::SIZE, before: None }
    }

    /// Only jobs of one kind.
    #[must_use]
    pub fn kind(self, kind: &str) -> Self {
        Self { kind: Some(kind.to_owned()), ..self }
    }

    /// Only jobs in one state.
    #[must_use]
    pub fn state(self, state: JobState) -> Self {
        Self { state: Some(state), ..self }
    }

    /// Only children of one job.
    #[must_use]
    pub fn parent(self, parent: JobId) -> Self {
        Self { parent: Some(parent), ..self }
    }

    /// At most `size` jobs (0 means the default), from where an earlier page ended (an empty token means
    /// the start).
    ///
    /// # Errors
    /// [`LedgerError::PageToken`] for a token that no page gave.
    pub fn page(self, size: u32, token: &str) -> Result<Self, LedgerError> {
        let before = match token {
            "" => None,
            text => Some(text.parse().map_err(|_| LedgerError::PageToken)?),
        };
        let size = if size == 0 { Self::SIZE } else { size.min(Self::MAX_SIZE) };
        Ok(Self { size, before, ..self })
    }
}

impl PageToken {
    pub(crate) fn after(job: &Job) -> Self {
        Self(job.id.to_string())
    }

    /// The token as text, for messages.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
