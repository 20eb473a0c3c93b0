//! A caller with its rights.

use std::sync::{Arc, OnceLock};

use gristmill_types::{Permission, Project};

use super::Rights;

/// Longest name, characters.
pub(super) const NAME_CHARS: usize = 128;

/// Who calls: a person, or a service, possibly on behalf of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: String,
    rights: Rights,
    /// May do leased work and call on behalf of others.
    service: bool,
    /// No token file knows it: its rights travel with its name.
    asserted: bool,
    /// The service that calls for this principal.
    via: Option<String>,
}

impl Principal {
    pub(super) fn new(name: String, rights: Rights, service: bool) -> Self {
        Self { name, rights, service, asserted: false, via: None }
    }

    /// Somebody whose rights another party (an OIDC issuer) vouches for.
    pub(super) fn asserted(name: String, rights: Rights) -> Self {
        Self { name, rights, service: false, asserted: true, via: None }
    }

    /// The owner of the machine, as `Auth::LoopbackOnly` knows no other.
    pub fn local() -> Arc<Self> {
        static LOCAL: OnceLock<Arc<Principal>> = OnceLock::new();
        Arc::clone(LOCAL.get_or_init(|| Arc::new(Self::service("local"))))
    }

    /// A service of this process: everything in every project, and leased work.
    pub fn service(name: impl Into<String>) -> Self {
        Self::new(name.into(), Rights::all(), true)
    }

    /// Nobody in particular: only what is public.
    pub(crate) fn anonymous() -> Arc<Self> {
        static ANONYMOUS: OnceLock<Arc<Principal>> = OnceLock::new();
        let make = || Arc::new(Self::new("anonymous".into(), Rights::default(), false));
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
        self.may_everywhere(permission) || self.rights.holds(permission, project)
    }

    /// Whether there is any project in which it may use `permission`.
    pub fn may_somewhere(&self, permission: Permission) -> bool {
        self.may_everywhere(permission) || self.rights.somewhere(permission)
    }

    /// Whether it may use `permission` in every project.
    pub fn may_everywhere(&self, permission: Permission) -> bool {
        match permission {
            Permission::Public => true,
            Permission::Work if self.service => true,
            _ => self.rights.everywhere(permission),
        }
    }

    /// Whether nothing that `earlier` was allowed is denied now.
    pub(super) fn keeps(&self, earlier: &Self) -> bool {
        self.name == earlier.name && self.service >= earlier.service && self.rights.covers(&earlier.rights)
    }

    /// The same rights under another name.
    pub(crate) fn named(&self, name: &str) -> Self {
        Self { name: name.chars().take(NAME_CHARS).collect(), asserted: false, ..self.clone() }
    }

    /// Another one with `rights`, as far as this one has them itself.
    pub(super) fn lends(&self, name: &str, rights: &Rights) -> Self {
        Self { rights: self.rights.shared(rights), asserted: true, ..self.named(name) }
    }

    /// Its rights, where the next service cannot know them from its name.
    pub(crate) fn rights_to_tell(&self) -> Option<String> {
        self.asserted.then(|| self.rights.text()).flatten()
    }

    /// Called through a service: what is the service's alone (leased work) does not pass over.
    pub(crate) fn via(mut self, service: &str) -> Self {
        self.via = Some(service.to_owned());
        self.service = false;
        self
    }
}
