//! Garbage collection: mark from what is held, then delete what is old and held by nobody.

use std::collections::BTreeSet;

use async_trait::async_trait;
use gristmill_types::{Digest, Micros, Project};

use crate::key::{Key, Room};
use crate::time::age;
use crate::{Holder, Store, StoreError};

/// Tells which artifacts somebody still needs.
#[async_trait]
pub trait RootProvider: Send + Sync {
    /// Who answers, for messages.
    fn name(&self) -> &str;

    /// Everything held in `project` at this moment; asked after the objects were listed, so an answer
    /// from a cache would be too old.
    ///
    /// # Errors
    /// A message; then nothing is deleted.
    async fn roots(&self, project: &Project) -> Result<Roots, String>;
}

/// What one provider holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots {
    /// Manifests that rows name: they, their parts, and all that they were made from are kept.
    pub artifacts: Vec<Digest>,
    /// Digests that leases pinned, of manifests or of parts; they may not exist yet.
    pub pins: Vec<Digest>,
    /// Under which names the provider is registered in the store, if it is.
    pub holders: Vec<Holder>,
}

/// What a sweep found, and deleted unless it was a dry run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Objects that are held.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Objects that nobody holds, but that are younger than the grace.
    pub spared: u64,
    /// Their bytes.
    pub spared_bytes: u64,
    /// Objects deleted, or in a dry run those that would be.
    pub deleted: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
}

impl Store {
    /// Sweeps one project. In order:
    ///
    /// 1. lists objects (what is put later is no candidate);
    /// 2. asks every provider; one that fails ends the sweep;
    /// 3. compares who answered with who is registered; one who is and did not ends the sweep;
    /// 4. marks: roots and pins, their parts, and what they were made from;
    /// 5. per object that is unmarked and older than the grace: keeps puts out, looks at its age again,
    ///    deletes it (manifests first, so that no visible manifest lacks its parts).
    ///
    /// # Errors
    /// [`StoreError::RootsUnavailable`], [`StoreError::RootUnreadable`], [`StoreError::HolderNotAsked`]:
    /// nothing was deleted. [`StoreError::Backend`]: what was deleted until then is garbage all the same.
    pub async fn sweep(
        &self,
        project: &Project,
        providers: &[&dyn RootProvider],
        dry_run: bool,
    ) -> Result<SweepReport, StoreError> {
        self.sweep_without(project, providers, &[], dry_run).await
    }

    /// As [`Self::sweep`], after `gone` were forgotten: holders that will never answer again. A dry run
    /// counts as if they were.
    ///
    /// # Errors
    /// As [`Self::sweep`]; [`StoreError::HolderNotGone`] if one of them answers: nobody was forgotten.
    pub async fn sweep_without(
        &self,
        project: &Project,
        providers: &[&dyn RootProvider],
        gone: &[Holder],
        dry_run: bool,
    ) -> Result<SweepReport, StoreError> {
        let mut listed = Vec::new();
        for room in [Room::Manifest, Room::Blob] {
            for meta in self.inner.backend.list(&Key::room(project, room)).await? {
                if let Some(key) = Key::parse(&meta.location) {
                    listed.push((key, meta));
                }
            }
        }
        // One moment for all: what is put from now on has a later date, whatever our own clock says.
        let now = self.inner.time.for_sweep(&self.inner.backend).await?;
        let answers = ask(project, providers).await?;
        self.all_answered(&answers, gone).await?;
        let marked = self.mark(project, answers).await?;
        if !dry_run {
            for holder in gone {
                self.forget(holder).await?;
            }
        }
        let mut report = SweepReport::default();
        for (key, meta) in listed {
            if marked.contains(&(key.room, key.digest)) {
                report.kept += 1;
                report.kept_bytes += meta.size;
            } else if age(now, &meta) <= self.inner.bounds.grace
                || (!dry_run && !self.delete_if_still_old(&key, now).await?)
            {
                report.spared += 1;
                report.spared_bytes += meta.size;
            } else {
                report.deleted += 1;
                report.deleted_bytes += meta.size;
            }
        }
        if !dry_run {
            self.sweep_probes(now).await?;
        }
        tracing::info!(%project, dry_run, ?report, "artifacts swept");
        Ok(report)
    }

    /// Removes what processes wrote to check the store and were killed before they could remove it.
    async fn sweep_probes(&self, now: Micros) -> Result<(), StoreError> {
        for meta in self.inner.backend.list(&Key::probes()).await? {
            if age(now, &meta) > self.inner.bounds.grace {
                self.inner.backend.delete_path(&meta.location).await?;
            }
        }
        Ok(())
    }

    async fn delete_if_still_old(&self, key: &Key, now: Micros) -> Result<bool, StoreError> {
        let _held = self.inner.gate.alone().await?;
        match self.inner.backend.head(key).await? {
            None => Ok(true),
            Some(meta) if age(now, &meta) <= self.inner.bounds.grace => Ok(false),
            Some(_) => self.inner.backend.delete(key).await.map(|()| true),
        }
    }

    /// Nobody who is registered is missing among those who answered. Looked up after they were asked, so
    /// that whoever registered meanwhile counts.
    async fn all_answered(&self, answers: &[(&str, Roots)], gone: &[Holder]) -> Result<(), StoreError> {
        let answered: BTreeSet<&Holder> = answers.iter().flat_map(|(_, roots)| &roots.holders).collect();
        if let Some(alive) = gone.iter().find(|holder| answered.contains(holder)) {
            return Err(StoreError::HolderNotGone(alive.clone()));
        }
        let registered = self.holders().await?;
        match registered.into_iter().find(|holder| !answered.contains(holder) && !gone.contains(holder)) {
            Some(missing) => Err(StoreError::HolderNotAsked(missing)),
            None => Ok(()),
        }
    }

    async fn mark(
        &self,
        project: &Project,
        answers: Vec<(&str, Roots)>,
    ) -> Result<BTreeSet<(Room, Digest)>, StoreError> {
        let mut marked = BTreeSet::new();
        for (provider, answer) in answers {
            for digest in answer.pins {
                // A pin may name a part, or a manifest that is not published yet.
                marked.insert((Room::Blob, digest));
                if self.inner.backend.head(&Key::new(project, Room::Manifest, digest)).await?.is_some() {
                    self.mark_from(project, digest, &mut marked).await.map_err(|e| unreadable(provider, digest, e))?;
                }
                marked.insert((Room::Manifest, digest));
            }
            for digest in answer.artifacts {
                self.mark_from(project, digest, &mut marked).await.map_err(|e| unreadable(provider, digest, e))?;
            }
        }
        Ok(marked)
    }

    /// Marks a manifest, its parts and, through its inputs, all that it was made from.
    async fn mark_from(
        &self,
        project: &Project,
        root: Digest,
        marked: &mut BTreeSet<(Room, Digest)>,
    ) -> Result<(), StoreError> {
        let artifacts = self.project(project);
        let mut open = vec![root];
        while let Some(digest) = open.pop() {
            if marked.contains(&(Room::Manifest, digest)) {
                continue;
            }
            let artifact = artifacts.find(digest).await?;
            marked.insert((Room::Manifest, digest));
            marked.extend(artifact.manifest().parts().iter().map(|part| (Room::Blob, part.digest())));
            open.extend(artifact.manifest().inputs().iter().map(|input| input.digest));
        }
        Ok(())
    }
}

/// What every provider holds; one that does not say ends the sweep.
async fn ask<'a>(project: &Project, providers: &[&'a dyn RootProvider]) -> Result<Vec<(&'a str, Roots)>, StoreError> {
    let one = |provider: &&'a dyn RootProvider| {
        let provider = *provider;
        async move {
            let answer = provider.roots(project).await;
            let silent = |message| StoreError::RootsUnavailable { provider: provider.name().into(), message };
            answer.map(|roots| (provider.name(), roots)).map_err(silent)
        }
    };
    // All at once: the slowest decides how long it takes, not their number.
    futures::future::try_join_all(providers.iter().map(one)).await
}

fn unreadable(provider: &str, digest: Digest, source: StoreError) -> StoreError {
    match source {
        // The store is down, which is not the root's fault.
        StoreError::Backend { .. } | StoreError::Io { .. } => source,
        source => StoreError::RootUnreadable { provider: provider.into(), digest, source: Box::new(source) },
    }
}
