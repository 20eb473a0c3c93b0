//! The caller of a request, as a handler sees it and hands it on.

use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderValue;
use gristmill_types::{ErrorCode, Permission, Project};
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};

use crate::auth::{ON_BEHALF_OF, ON_BEHALF_RIGHTS, Principal};
use crate::call::deadline;
use crate::error::Problem;

/// Who calls, until when, and under which trace. The guard puts it into every request's extensions.
#[derive(Debug, Clone)]
pub struct Caller {
    principal: Arc<Principal>,
    permission: Permission,
    deadline: Option<Instant>,
    /// The `traceparent` that came in, handed on as it is when this process keeps no spans itself.
    trace: Option<HeaderValue>,
}

impl Caller {
    pub(crate) fn new(
        principal: Arc<Principal>,
        permission: Permission,
        deadline: Option<Instant>,
        trace: Option<HeaderValue>,
    ) -> Self {
        Self { principal, permission, deadline, trace }
    }

    /// The caller of a gRPC request.
    ///
    /// # Errors
    /// UNAUTHENTICATED when the request did not come through a [`crate::Server`]: deny by default.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, Problem> {
        request.extensions().get::<Self>().cloned().ok_or_else(crate::auth::no_token)
    }

    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Until when the caller waits.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Checks a request's project and that the caller may use this rpc in it; empty is the default
    /// project. The way to a [`Project`] in a handler, so that none can forget to ask.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a text that is no project name, PERMISSION_DENIED without the right.
    pub fn project(&self, text: &str) -> Result<Project, Problem> {
        let project = if text.is_empty() {
            Project::default()
        } else {
            Project::new(text).map_err(|error| {
                Problem::invalid("INVALID_PROJECT", error.to_string()).violation("project", error.to_string())
            })?
        };
        if self.principal.may(self.permission, &project) { Ok(project) } else { Err(self.denied(Some(&project))) }
    }

    pub(crate) fn denied(&self, project: Option<&Project>) -> Problem {
        let permission = self.permission.as_str();
        let (name, at) = (self.principal.name(), project.map(|p| format!(" in project {p}")).unwrap_or_default());
        let message =
            format!("{name} lacks the permission `{permission}`{at}: ask an administrator for a role with it");
        Problem::new(ErrorCode::PermissionDenied, "NOT_PERMITTED", message).with("permission", permission)
    }

    /// A request to another stage for this caller: its identity, nine tenths of the time that is left
    /// (so that the answer can still be passed on), its trace.
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.extensions_mut().insert(OnBehalfOf(Arc::clone(&self.principal)));
        if let Ok(name) = MetadataValue::<Ascii>::try_from(self.principal.name()) {
            request.metadata_mut().insert(ON_BEHALF_OF, name);
        }
        let rights = self.principal.rights_to_tell().and_then(|rights| rights.parse().ok());
        if let Some(rights) = rights {
            request.metadata_mut().insert(ON_BEHALF_RIGHTS, rights);
        }
        if let Some(trace) = self.trace.as_ref().and_then(|trace| MetadataValue::try_from(trace.as_bytes()).ok()) {
            request.metadata_mut().insert(crate::call::trace::TRACEPARENT, trace);
        }
        if let Some(left) = self.deadline.map(|at| at.saturating_duration_since(Instant::now())) {
            let left = (left - left / 10).max(Duration::from_millis(1));
            if let Ok(value) = MetadataValue::try_from(deadline::format(left)) {
                request.metadata_mut().insert(deadline::GRPC_TIMEOUT, value);
            }
        }
        request
    }
}

/// Carried inside the process in place of the metadata: the caller a local call is made for.
#[derive(Debug, Clone)]
pub(crate) struct OnBehalfOf(pub(crate) Arc<Principal>);
