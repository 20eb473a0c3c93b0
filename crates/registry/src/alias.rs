//! Aliases: names that move from version to version, by compare-and-swap.

use gristmill_runtime::database::Tx;
use gristmill_runtime::values;
use gristmill_types::{Micros, Name, Project};

use crate::read::{Page, before, cut, window};
use crate::registry::{Change, MOVED};
use crate::rows::{self, alias_subject, select_version};
use crate::version::{Status, Verdict, show};
use crate::{Registry, RegistryError};

/// Most bytes of a reason.
const MAX_REASON: usize = 2_048;

/// Where the caller believes an alias to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Wherever it stands.
    Any,
    /// On this version, or nowhere.
    At(Option<u32>),
}

/// A wish to move an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasChange {
    /// The model.
    pub name: Name,
    /// The alias.
    pub alias: Name,
    /// Where to; none removes it.
    pub to: Option<u32>,
    /// Where from.
    pub expected: Expected,
    /// Why.
    pub reason: String,
    /// Move it although the verdict is not `passed`; needs a reason.
    pub override_verdict: bool,
}

/// One move that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasMove {
    /// Grows with every move of the project.
    pub sequence: i64,
    /// The model.
    pub name: Name,
    /// The alias.
    pub alias: Name,
    /// Where it stood.
    pub from: Option<u32>,
    /// Where it stands since; none if it was removed.
    pub to: Option<u32>,
    /// When.
    pub at: Micros,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What the gate had said about the version.
    pub verdict: Option<Verdict>,
}

const STANDS: &str = "select version from {s}alias where project = $1 and name = $2 and alias = $3";
const TARGET: &str = select_version!("where project = $1 and name = $2 and version = $3");
const LAST: &str = "select sequence, name, alias, from_version, to_version, at, moved_by, reason, verdict from {s}move
    where project = $1 and name = $2 and alias = $3 order by sequence desc limit 1";
const PUT: &str = "insert into {s}alias (project, name, alias, version, sequence) values ($1, $2, $3, $4, $5)
    on conflict (project, name, alias) do update set version = excluded.version, sequence = excluded.sequence";
const REMOVE: &str = "delete from {s}alias where project = $1 and name = $2 and alias = $3";
const MOVE: &str = "insert into {s}move
    (project, sequence, name, alias, from_version, to_version, at, moved_by, reason, verdict)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const MOVES: &str = "select sequence, name, alias, from_version, to_version, at, moved_by, reason, verdict from {s}move
    where project = $1 and name = $2 and ($3 = '' or alias = $3) and sequence < $4 order by sequence desc limit $5";

impl Registry {
    /// Moves an alias if it stands where the caller believes.
    ///
    /// A version is promoted only with a passed verdict, or by an override with a reason. The comparison,
    /// the move, its history and the audit row are one transaction; once this returns they are durable and
    /// watches are told. The same caller's same move again (its first answer was lost) is answered, not
    /// refused.
    ///
    /// # Errors
    /// [`RegistryError::AliasMoved`] if it stands elsewhere, [`RegistryError::NotPassed`],
    /// [`RegistryError::Retired`], [`RegistryError::NoVersion`], [`RegistryError::NoAlias`].
    pub async fn move_alias(
        &self,
        project: &Project,
        change: &AliasChange,
        by: &str,
    ) -> Result<AliasMove, RegistryError> {
        check(change)?;
        self.expect_model(project, &change.name).await?;
        let mut tx = self.begin(project).await?;
        let found = self.stands(&mut tx, project, change).await?;
        if let Expected::At(expected) = change.expected
            && found != expected
        {
            if let Some(done) = self.same_again(&mut tx, project, change, by).await? {
                return Ok(done);
            }
            let (name, alias) = (change.name.clone(), change.alias.clone());
            return Err(RegistryError::AliasMoved { name, alias, expected, found });
        }
        let verdict = self.allowed(&mut tx, project, change, found).await?;
        let done = self.write(&mut tx, project, change, (found, verdict), by).await?;
        tx.notify(&self.inner.schema, MOVED).await?;
        tx.commit().await?;
        self.inner.bell.send_modify(|rung| *rung += 1);
        tracing::info!(%project, name = %done.name, alias = %done.alias, from = ?done.from, to = ?done.to, by, "alias moved");
        Ok(done)
    }

    /// The moves of a model's alias (or of all its aliases), newest first.
    ///
    /// # Errors
    /// [`RegistryError::NoModel`], [`RegistryError::PageToken`].
    pub async fn moves(
        &self,
        project: &Project,
        (name, alias): (&Name, Option<&Name>),
        size: u32,
        token: &str,
    ) -> Result<Page<AliasMove>, RegistryError> {
        self.expect_model(project, name).await?;
        let (size, read) = window(size);
        let asked = values![project, name, alias.map_or("", Name::as_str), before(token)?, read];
        let found = self.inner.database.fetch(&self.sql(MOVES), asked).await?;
        let entries = found.iter().map(rows::alias_move).collect::<Result<_, _>>()?;
        Ok(cut(entries, size, |entry: &AliasMove| entry.sequence.to_string()))
    }

    async fn stands(&self, tx: &mut Tx, project: &Project, change: &AliasChange) -> Result<Option<u32>, RegistryError> {
        let row = tx.fetch_optional(&self.sql(STANDS), values![project, &change.name, &change.alias]).await?;
        Ok(row.map(|row| row.get("version")).transpose()?)
    }

    /// The promotion rule; answers the verdict of the version moved to.
    async fn allowed(
        &self,
        tx: &mut Tx,
        project: &Project,
        change: &AliasChange,
        found: Option<u32>,
    ) -> Result<Option<Verdict>, RegistryError> {
        let name = change.name.clone();
        let Some(to) = change.to else {
            return match found {
                Some(_) => Ok(None),
                None => Err(RegistryError::NoAlias { name, alias: change.alias.clone() }),
            };
        };
        let row = tx.fetch_optional(&self.sql(TARGET), values![project, &change.name, to]).await?;
        let target = rows::version(&row.ok_or_else(|| RegistryError::NoVersion { name: name.clone(), version: to })?)?;
        if target.status == Status::Retired {
            return Err(RegistryError::Retired { name, version: to });
        }
        if target.verdict != Some(Verdict::Passed) && !change.override_verdict {
            return Err(RegistryError::NotPassed { name, version: to, verdict: target.verdict });
        }
        Ok(target.verdict)
    }

    async fn write(
        &self,
        tx: &mut Tx,
        project: &Project,
        change: &AliasChange,
        (from, verdict): (Option<u32>, Option<Verdict>),
        by: &str,
    ) -> Result<AliasMove, RegistryError> {
        let at = self.now();
        let overridden = change.to.is_some() && verdict != Some(Verdict::Passed);
        let action = if overridden { "move-overridden" } else { "move" };
        let detail = format!("from {} to {}: {}", show(from), show(change.to), change.reason);
        let subject = alias_subject(&change.name, &change.alias);
        let sequence = self.record(tx, Change { project, actor: by, action, subject, detail }, at).await?;
        let (name, alias) = (&change.name, &change.alias);
        match change.to {
            Some(to) => tx.execute(&self.sql(PUT), values![project, name, alias, to, sequence]).await?,
            None => tx.execute(&self.sql(REMOVE), values![project, name, alias]).await?,
        };
        let reason = change.reason.as_str();
        let row =
            values![project, sequence, name, alias, from, change.to, at, by, reason, verdict.map(Verdict::as_str)];
        tx.execute(&self.sql(MOVE), row).await?;
        Ok(AliasMove {
            sequence,
            name: name.clone(),
            alias: alias.clone(),
            from,
            to: change.to,
            at,
            by: by.to_owned(),
            reason: change.reason.clone(),
            verdict,
        })
    }

    /// The last move, if it is the very one that is asked for again.
    async fn same_again(
        &self,
        tx: &mut Tx,
        project: &Project,
        change: &AliasChange,
        by: &str,
    ) -> Result<Option<AliasMove>, RegistryError> {
        let row = tx.fetch_optional(&self.sql(LAST), values![project, &change.name, &change.alias]).await?;
        let Some(last) = row.as_ref().map(rows::alias_move).transpose()? else { return Ok(None) };
        let same = Expected::At(last.from) == change.expected
            && last.to == change.to
            && last.by == by
            && last.reason == change.reason;
        Ok(same.then_some(last))
    }
}

fn check(change: &AliasChange) -> Result<(), RegistryError> {
    if change.reason.len() > MAX_REASON {
        return Err(RegistryError::invalid("reason", format!("at most {MAX_REASON} bytes")));
    }
    if change.override_verdict && change.reason.trim().is_empty() {
        return Err(RegistryError::invalid("reason", "say why the verdict is overridden"));
    }
    if change.to == Some(0) || change.expected == Expected::At(Some(0)) {
        return Err(RegistryError::invalid("version", "versions count from 1"));
    }
    Ok(())
}
