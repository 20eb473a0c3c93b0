//! What a principal may do, by project.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_types::{Permission, Project, Role};

/// The project that stands for all of them.
pub(super) const EVERY_PROJECT: &str = "*";

/// Longest text of rights that travels with a call, bytes; a server takes headers of 32 KiB.
const TEXT_BYTES: usize = 8 << 10;

/// Permissions in every project, and in single ones on top.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rights {
    everywhere: BTreeSet<Permission>,
    projects: BTreeMap<Project, BTreeSet<Permission>>,
}

impl Rights {
    /// Everything everywhere.
    pub(super) fn all() -> Self {
        let mut rights = Self::default();
        rights.grant(None, Role::Admin);
        rights
    }

    /// Adds what `role` grants, in `project` or everywhere.
    pub(super) fn grant(&mut self, project: Option<Project>, role: Role) {
        let into = match project {
            Some(project) => self.projects.entry(project).or_default(),
            None => &mut self.everywhere,
        };
        into.extend(Permission::ALL.into_iter().filter(|permission| role.grants(*permission)));
    }

    /// Adds a role by its name, in the project of that name or in all (`*`).
    pub(super) fn grant_named(&mut self, project: &str, role: &str) -> Result<(), String> {
        let role: Role = role.parse()?;
        let project = match project {
            EVERY_PROJECT => None,
            name => Some(Project::new(name).map_err(|error| error.to_string())?),
        };
        self.grant(project, role);
        Ok(())
    }

    /// Adds all of `other`.
    pub(super) fn add(&mut self, other: &Self) {
        self.everywhere.extend(&other.everywhere);
        for (project, permissions) in &other.projects {
            self.projects.entry(project.clone()).or_default().extend(permissions);
        }
    }

    pub(super) fn everywhere(&self, permission: Permission) -> bool {
        self.everywhere.contains(&permission)
    }

    pub(super) fn holds(&self, permission: Permission, project: &Project) -> bool {
        self.everywhere(permission) || self.projects.get(project).is_some_and(|these| these.contains(&permission))
    }

    pub(super) fn somewhere(&self, permission: Permission) -> bool {
        self.everywhere(permission) || self.projects.values().any(|these| these.contains(&permission))
    }

    /// Whether nothing of `other` is missing here.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let each =
            |(project, these): (&Project, &BTreeSet<Permission>)| these.iter().all(|one| self.holds(*one, project));
        other.everywhere.is_subset(&self.everywhere) && other.projects.iter().all(each)
    }

    /// What both have.
    pub(super) fn shared(&self, other: &Self) -> Self {
        let everywhere = self.everywhere.intersection(&other.everywhere).copied().collect();
        let named: BTreeSet<&Project> = self.projects.keys().chain(other.projects.keys()).collect();
        let both = |project: &Project| -> BTreeSet<Permission> {
            let all = Permission::ALL.into_iter();
            all.filter(|one| self.holds(*one, project) && other.holds(*one, project)).collect()
        };
        let projects = named.into_iter().map(|project| (project.clone(), both(project))).collect();
        Self { everywhere, projects }
    }

    /// `*=read,predict;churn=write_data`: for the way to another service. `None` when it is too long for
    /// a header.
    pub(super) fn text(&self) -> Option<String> {
        let list = |these: &BTreeSet<Permission>| {
            let names: Vec<&str> = these.iter().map(|permission| permission.as_str()).collect();
            names.join(",")
        };
        let mut parts = vec![format!("{EVERY_PROJECT}={}", list(&self.everywhere))];
        parts.extend(self.projects.iter().map(|(project, these)| format!("{project}={}", list(these))));
        let text = parts.join(";");
        (text.len() <= TEXT_BYTES).then_some(text)
    }

    /// Reads what `text` wrote. A permission that is not known here is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut rights = Self::default();
        for part in text.split(';') {
            let (project, names) = part.split_once('=').ok_or("rights are written `project=permission,…;…`")?;
            let these = names.split(',').filter_map(Permission::named);
            match project {
                EVERY_PROJECT => rights.everywhere.extend(these),
                name => {
                    let project = Project::new(name).map_err(|error| error.to_string())?;
                    rights.projects.entry(project).or_default().extend(these);
                }
            }
        }
        Ok(rights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(pairs: &[(&str, &str)]) -> Rights {
        let mut rights = Rights::default();
        for (project, role) in pairs {
            rights.grant_named(project, role).unwrap();
        }
        rights
    }

    #[test]
    fn rights_survive_their_text() {
        for all in [rights(&[]), Rights::all(), rights(&[("*", "data-engineer"), ("churn", "ml-engineer")])] {
            assert_eq!(Rights::parse(&all.text().unwrap()).unwrap(), all);
        }
        assert!(Rights::parse("*=fly").unwrap() == Rights::default(), "what is not known is no right");
        assert!(Rights::parse("churn").is_err() && Rights::parse("../x=read").is_err());
        let mut many = Rights::default();
        for number in 0..1000 {
            many.grant_named(&format!("p{number}"), "admin").unwrap();
        }
        assert_eq!(many.text(), None);
    }

    #[test]
    fn what_is_shared_is_what_both_hold() {
        let service = rights(&[("churn", "admin"), ("*", "software-engineer")]);
        let asserted = rights(&[("*", "admin")]);
        let shared = service.shared(&asserted);
        let (churn, mill) = (Project::new("churn").unwrap(), Project::new("mill").unwrap());
        assert!(shared.holds(Permission::Administer, &churn) && !shared.holds(Permission::Administer, &mill));
        assert!(shared.holds(Permission::Predict, &mill));
        assert!(service.covers(&shared) && asserted.covers(&shared) && !shared.covers(&asserted));
        assert_eq!(shared, asserted.shared(&service));
    }
}
