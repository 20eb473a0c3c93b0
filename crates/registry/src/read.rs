//! Reading versions and models, and changing what may change of a version.

use std::collections::BTreeMap;

use gristmill_runtime::values;
use gristmill_types::{Name, Project};

use crate::register::json_text;
use crate::registry::Change;
use crate::rows::{self, select_version, version_subject};
use crate::version::{Status, Version, VersionChange};
use crate::{Registry, RegistryError};

/// Entries of a page unless told.
const PAGE: u32 = 50;
/// Entries of a page at most.
const MAX_PAGE: u32 = 500;

/// Some entries, and where the next page begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// Empty on the last page.
    pub next: String,
}

/// A model as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    /// Its name.
    pub name: Name,
    /// Its newest version.
    pub latest: u32,
    /// Versions by alias.
    pub aliases: BTreeMap<Name, u32>,
}

const ONE: &str = select_version!("where project = $1 and name = $2 and version = $3");
const MANY: &str = select_version!("where project = $1 and name = $2 and version < $3 order by version desc limit $4");
const ALIASES: &str = "select name, alias, version from {s}alias where project = $1 and name = $2 order by alias";
const ALIAS: &str = "select version from {s}alias where project = $1 and name = $2 and alias = $3";
const MODELS: &str = "select name, latest from {s}model where project = $1 and name > $2 order by name limit $3";
const MODEL: &str = "select latest from {s}model where project = $1 and name = $2";
const UPDATE: &str = "update {s}version set description = $4, tags = $5, status = $6
    where project = $1 and name = $2 and version = $3";

/// How many entries to read to know whether there are more.
fn page_size(asked: u32) -> u32 {
    if asked == 0 { PAGE } else { asked.min(MAX_PAGE) }
}

/// Cuts a page of `size` out of rows read with one more, and says where the next one begins.
pub(crate) fn cut<T>(mut entries: Vec<T>, size: u32, token: impl Fn(&T) -> String) -> Page<T> {
    let more = entries.len() > size as usize;
    entries.truncate(size as usize);
    let next = if more { entries.last().map(token).unwrap_or_default() } else { String::new() };
    Page { entries, next }
}

/// Where a page of numbers counting down begins.
pub(crate) fn before(token: &str) -> Result<i64, RegistryError> {
    if token.is_empty() { Ok(i64::MAX) } else { token.parse().map_err(|_| RegistryError::PageToken) }
}

/// The page's size and how many rows to read for it.
pub(crate) fn window(asked: u32) -> (u32, u32) {
    let size = page_size(asked);
    (size, size + 1)
}

impl Registry {
    /// One version by number.
    ///
    /// # Errors
    /// [`RegistryError::NoModel`], [`RegistryError::NoVersion`].
    pub async fn version(&self, project: &Project, name: &Name, version: u32) -> Result<Version, RegistryError> {
        let row = self.inner.database.fetch_optional(&self.sql(ONE), values![project, name, version]).await?;
        let Some(row) = row else {
            self.expect_model(project, name).await?;
            return Err(RegistryError::NoVersion { name: name.clone(), version });
        };
        let mut version = rows::version(&row)?;
        version.aliases = self.aliases_on(project, name).await?.remove(&version.version).unwrap_or_default();
        Ok(version)
    }

    /// The version an alias stands on.
    ///
    /// # Errors
    /// [`RegistryError::NoModel`], [`RegistryError::NoAlias`].
    pub async fn version_at(&self, project: &Project, name: &Name, alias: &Name) -> Result<Version, RegistryError> {
        let row = self.inner.database.fetch_optional(&self.sql(ALIAS), values![project, name, alias]).await?;
        let Some(row) = row else {
            self.expect_model(project, name).await?;
            return Err(RegistryError::NoAlias { name: name.clone(), alias: alias.clone() });
        };
        self.version(project, name, row.get("version")?).await
    }

    /// The versions of one model, newest first.
    ///
    /// # Errors
    /// [`RegistryError::NoModel`], [`RegistryError::PageToken`].
    pub async fn versions(
        &self,
        project: &Project,
        name: &Name,
        size: u32,
        token: &str,
    ) -> Result<Page<Version>, RegistryError> {
        self.expect_model(project, name).await?;
        let (size, read) = window(size);
        let asked = values![project, name, before(token)?, read];
        let found = self.inner.database.fetch(&self.sql(MANY), asked).await?;
        let mut aliases = self.aliases_on(project, name).await?;
        let mut entries = found.iter().map(rows::version).collect::<Result<Vec<_>, _>>()?;
        for entry in &mut entries {
            entry.aliases = aliases.remove(&entry.version).unwrap_or_default();
        }
        Ok(cut(entries, size, |entry| entry.version.to_string()))
    }

    /// The models of a project, by name.
    ///
    /// # Errors
    /// [`RegistryError::PageToken`].
    pub async fn models(&self, project: &Project, size: u32, token: &str) -> Result<Page<ModelEntry>, RegistryError> {
        if !token.is_empty() && Name::new(token).is_err() {
            return Err(RegistryError::PageToken);
        }
        let (size, read) = window(size);
        let found = self.inner.database.fetch(&self.sql(MODELS), values![project, token, read]).await?;
        let mut entries = Vec::new();
        for row in &found {
            let name: Name = row.get("name")?;
            let standing = self.inner.database.fetch(&self.sql(ALIASES), values![project, &name]).await?;
            let mut aliases = BTreeMap::new();
            for row in &standing {
                let (_, alias, version) = rows::standing(row)?;
                aliases.insert(alias, version);
            }
            entries.push(ModelEntry { name, latest: row.get("latest")?, aliases });
        }
        Ok(cut(entries, size, |entry| entry.name.to_string()))
    }

    /// Changes description, tags or status of a version; nothing else of it ever changes.
    ///
    /// Once this returns, the change and its audit row are durable.
    ///
    /// # Errors
    /// [`RegistryError::NoVersion`], [`RegistryError::Invalid`].
    pub async fn update(
        &self,
        project: &Project,
        (name, version): (&Name, u32),
        change: &VersionChange,
        by: &str,
    ) -> Result<Version, RegistryError> {
        change.check()?;
        self.version(project, name, version).await?;
        let mut tx = self.begin(project).await?;
        let row = tx.fetch_optional(&self.sql(ONE), values![project, name, version]).await?;
        let row = row.ok_or_else(|| RegistryError::NoVersion { name: name.clone(), version })?;
        let old = rows::version(&row)?;
        let tags = change.apply(old.tags)?;
        let description = change.description.clone().unwrap_or(old.description);
        let status = change.status.unwrap_or(old.status);
        let values = values![project, name, version, description, json_text(&tags), status.as_str()];
        tx.execute(&self.sql(UPDATE), values).await?;
        let subject = version_subject(name, version);
        let detail = if status == Status::Retired && old.status == Status::Ready { "retired" } else { "" };
        let record = Change { project, actor: by, action: "update", subject, detail: detail.into() };
        self.record(&mut tx, record, self.now()).await?;
        tx.commit().await?;
        self.version(project, name, version).await
    }

    pub(crate) async fn expect_model(&self, project: &Project, name: &Name) -> Result<(), RegistryError> {
        match self.inner.database.fetch_optional(&self.sql(MODEL), values![project, name]).await? {
            Some(_) => Ok(()),
            None => Err(RegistryError::NoModel(name.clone())),
        }
    }

    /// Aliases of a model by version.
    async fn aliases_on(&self, project: &Project, name: &Name) -> Result<BTreeMap<u32, Vec<Name>>, RegistryError> {
        let mut aliases: BTreeMap<u32, Vec<Name>> = BTreeMap::new();
        for row in &self.inner.database.fetch(&self.sql(ALIASES), values![project, name]).await? {
            let (_, alias, version) = rows::standing(row)?;
            aliases.entry(version).or_default().push(alias);
        }
        Ok(aliases)
    }
}
