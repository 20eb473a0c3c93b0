//! A caller with its rights.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use gristmill_types::{Permission, Project, Role};

/// Who calls: a person, or a service, possibly on behalf of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: String,
    /// Roles in every project.
    everywhere: BTreeSet<Role>,
    /// Roles in single projects, on top.
    projects: BTreeMap<Project, BTreeSet<Role>>,
    /// May do leased work and call on behalf of others.
    service: bool,
    /// The service that calls for this principal.
    via: Option<String>,
}

impl Principal {
    pub(crate) fn new(
        name: String,
        everywhere: BTreeSet<Role>,
        projects: BTreeMap<Project, BTreeSet<Role>>,
        service: bool,
    ) -> Self {
        Self { name, everywhere, projects, service, via: None }
    }

    /// The owner of the machine, as `Auth::LoopbackOnly` knows no other.
    pub fn local() -> Arc<Self> {
        static LOCAL: OnceLock<Arc<Principal>> = OnceLock::new();
        Arc::clone(LOCAL.get_or_init(|| Arc::new(Self::service("local"))))
    }

    /// A service of this process: everything in every project, and leased work.
    pub fn service(name: impl Into<String>) -> Self {
        Self::new(name.into(), BTreeSet::from([Role::Admin]), BTreeMap::new(), true)
    }

    /// Nobody in particular: only what is public.
    pub(crate) fn anonymous() -> Arc<Self> {
        static ANONYMOUS: OnceLock<Arc<Principal>> = OnceLock::new();
        let make = || Arc::new(Self::new("anonymous".into(), BTreeSet::new(), BTreeMap::new(), false));
        Arc::clone(ANONYMOUS.get_or_init(make))
    }

    /// The name, as audits keep it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The service that calls for this principal, if one does.
    pub fn called_via(&self) -> Option<&str> {
        self.via.as_deref()
    }

    /// `ana`, or `ana via training`: both names, for audits.
    pub fn audit_name(&self) -> String {
        match &self.via {
            Some(via) => format!("{} via {via}", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether it may do leased work and call on behalf of others.
    pub const fn is_service(&self) -> bool {
        self.service
    }

    /// Whether it may use `permission` in `project`: denied unless something grants it.
    pub fn may(&self, permission: Permission, project: &Project) -> bool {
        self.may_everywhere(permission)
            || self.projects.get(project).is_some_and(|roles| roles.iter().any(|role| role.grants(permission)))
    }

    /// Whether there is any project in which it may use `permission`.
    pub fn may_somewhere(&self, permission: Permission) -> bool {
        self.may_everywhere(permission) || self.projects.values().flatten().any(|role| role.grants(permission))
    }

    /// Whether it may use `permission` in every project.
    pub fn may_everywhere(&self, permission: Permission) -> bool {
        match permission {
            Permission::Public => true,
            Permission::Work if self.service => true,
            _ => self.everywhere.iter().any(|role| role.grants(permission)),
        }
    }

    /// The same rights under another name.
    pub(crate) fn named(&self, name: &str) -> Self {
        Self { name: name.chars().take(128).collect(), ..self.clone() }
    }

    /// Called through a service: what is the service's alone (leased work) does not pass over.
    pub(crate) fn via(mut self, service: &str) -> Self {
        self.via = Some(service.to_owned());
        self.service = false;
        self
    }
}
