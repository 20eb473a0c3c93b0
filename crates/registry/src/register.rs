//! Registering a version.

use std::collections::BTreeSet;

use gristmill_runtime::database::{DatabaseError, Tx};
use gristmill_runtime::values;
use gristmill_types::{ArtifactRef, Digest, Micros, Name, Project, RequestId};

use crate::registry::Change;
use crate::rows::{artifact_text, artifacts_text, version_subject};
use crate::version::{NewVersion, Status, Verdict, Version};
use crate::{Registry, RegistryError};

/// Tries of one registration before the caller is told to try again.
const TRIES: u32 = 5;
/// The part of an evaluation that says which model was measured.
const EVALUATION_PART: &str = "evaluation.json";
/// The part of an evaluation that holds what the gate said.
const VERDICT_PART: &str = "verdict.json";

const NEXT_NUMBER: &str = "insert into {s}model (project, name, latest) values ($1, $2, 1)
    on conflict (project, name) do update set latest = {s}model.latest + 1 returning latest";
const INSERT: &str = "insert into {s}version (project, name, version, model, evaluation, verdict, metrics, status,
    description, tags, seen, run_id, request_id, request_digest, created_at, created_by)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
const ANCESTOR: &str = "insert into {s}ancestor (project, digest, name, version) values ($1, $2, $3, $4)";
const ANSWERED: &str = "select name, version, request_digest from {s}version where project = $1 and request_id = $2";

/// A registration whose artifacts were looked at.
struct Checked<'a> {
    project: &'a Project,
    new: &'a NewVersion,
    request: Option<&'a RequestId>,
    by: &'a str,
    digest: Digest,
    verdict: Option<Verdict>,
    ancestors: BTreeSet<Digest>,
}

impl Registry {
    /// Registers a version under the model's next number.
    ///
    /// Once this returns, the number is taken for good, the model and its evaluation were read and
    /// verified, everything the model was made from is known, and the same `request` answers the same version.
    /// The number, the version, its ancestors and the audit row are one transaction, so numbers have no gaps.
    ///
    /// # Errors
    /// [`RegistryError::Artifact`] if something it names is missing or damaged,
    /// [`RegistryError::RequestReused`] if `request` was another registration; and what else is wrong with it.
    pub async fn register(
        &self,
        project: &Project,
        new: &NewVersion,
        request: Option<&RequestId>,
        by: &str,
    ) -> Result<Version, RegistryError> {
        new.check()?;
        let digest = new.digest();
        if let Some(version) = self.answered(project, request, digest).await? {
            return Ok(version);
        }
        let (verdict, ancestors) = self.look(project, new).await?;
        let checked = Checked { project, new, request, by, digest, verdict, ancestors };
        for _ in 0..TRIES {
            match self.insert(&checked).await {
                Ok(version) => return Ok(version),
                // Somebody else took the number or the request id, or the line of writers did not move.
                Err(RegistryError::Database(
                    DatabaseError::Conflict(_) | DatabaseError::Busy(_) | DatabaseError::Contended(_),
                )) => {}
                Err(error) => return Err(error),
            }
            if let Some(version) = self.answered(project, request, digest).await? {
                return Ok(version);
            }
        }
        Err(RegistryError::Contended)
    }

    /// The version that `request` made, if it has been here before.
    async fn answered(
        &self,
        project: &Project,
        request: Option<&RequestId>,
        digest: Digest,
    ) -> Result<Option<Version>, RegistryError> {
        let Some(request) = request else { return Ok(None) };
        let asked = values![project, request.as_str()];
        let Some(row) = self.inner.database.fetch_optional(&self.sql(ANSWERED), asked).await? else {
            return Ok(None);
        };
        if row.get::<Digest>("request_digest")? != digest {
            return Err(RegistryError::RequestReused(request.clone()));
        }
        let (name, version): (Name, u32) = (row.get("name")?, row.get("version")?);
        self.version(project, &name, version).await.map(Some)
    }

    /// Reads and verifies what the version names; answers the verdict and the digests of all ancestors.
    async fn look(
        &self,
        project: &Project,
        new: &NewVersion,
    ) -> Result<(Option<Verdict>, BTreeSet<Digest>), RegistryError> {
        let store = self.artifacts(project);
        let unusable = |field: &str| {
            let field = field.to_owned();
            move |source| RegistryError::Artifact { field, source }
        };
        store.verify(&new.model).await.map_err(unusable("model"))?;
        for (at, seen) in new.seen.iter().enumerate() {
            store.open(seen).await.map_err(unusable(&format!("seen[{at}]")))?;
        }
        let verdict = match new.evaluation {
            None => None,
            Some(evaluation) => {
                store.verify(&evaluation).await.map_err(unusable("evaluation"))?;
                Some(self.verdict_of(project, evaluation, new.model).await?)
            }
        };
        if let (Some(claimed), Some(found)) = (new.verdict, verdict)
            && claimed != found
        {
            return Err(RegistryError::VerdictDiffers { claimed, found });
        }
        let ancestors = self.ancestors(project, new.model).await?;
        if let Some(lost) = ancestors.iter().find(|node| node.lost) {
            let missing = gristmill_store::StoreError::NotFound { project: project.clone(), artifact: lost.artifact };
            return Err(RegistryError::Artifact { field: "model".into(), source: missing });
        }
        Ok((verdict, ancestors.into_iter().map(|node| node.artifact.digest).collect()))
    }

    /// What the evaluation's own bytes say, provided that it judged this model: a caller's word is not enough.
    async fn verdict_of(
        &self,
        project: &Project,
        evaluation: ArtifactRef,
        model: ArtifactRef,
    ) -> Result<Verdict, RegistryError> {
        let artifact = self.artifacts(project).open(&evaluation).await?;
        let unreadable = |_| RegistryError::NoVerdict(evaluation);
        let measured = artifact.part(EVALUATION_PART).map_err(unreadable)?.bytes().await?;
        let measured: EvaluationFile =
            serde_json::from_slice(&measured).map_err(|_| RegistryError::NoVerdict(evaluation))?;
        // A champion is an input of the evaluation too, so the inputs alone do not say who was judged.
        if measured.model.artifact != model || !artifact.manifest().inputs().contains(&model) {
            return Err(RegistryError::OtherModel { evaluation, model });
        }
        let bytes = artifact.part(VERDICT_PART).map_err(unreadable)?.bytes().await?;
        let file: VerdictFile = serde_json::from_slice(&bytes).map_err(|_| RegistryError::NoVerdict(evaluation))?;
        Ok(file.state)
    }

    async fn insert(&self, checked: &Checked<'_>) -> Result<Version, RegistryError> {
        let Checked { project, new, by, .. } = checked;
        let now = self.now();
        let mut tx = self.begin(project).await?;
        let row = tx.fetch_optional(&self.sql(NEXT_NUMBER), values![*project, &new.name]).await?;
        let number: u32 = row.ok_or(RegistryError::Row("latest"))?.get("latest")?;
        self.insert_version(&mut tx, checked, number, now).await?;
        for digest in &checked.ancestors {
            tx.execute(&self.sql(ANCESTOR), values![*project, digest, &new.name, number]).await?;
        }
        let detail = artifact_text(&new.model);
        let subject = version_subject(&new.name, number);
        let change = Change { project, actor: by, action: "register", subject, detail };
        self.record(&mut tx, change, now).await?;
        tx.commit().await?;
        tracing::info!(%project, name = %new.name, version = number, by, "version registered");
        self.version(project, &new.name, number).await
    }

    async fn insert_version(
        &self,
        tx: &mut Tx,
        checked: &Checked<'_>,
        number: u32,
        now: Micros,
    ) -> Result<(), RegistryError> {
        let Checked { project, new, request, by, digest, verdict, .. } = checked;
        let values = values![
            *project,
            &new.name,
            number,
            artifact_text(&new.model),
            new.evaluation.as_ref().map(artifact_text),
            verdict.map(Verdict::as_str),
            json_text(&new.metrics),
            Status::Ready.as_str(),
            new.description.as_str(),
            json_text(&new.tags),
            json_text(&artifacts_text(&new.seen)),
            new.run_id.as_str(),
            request.map(RequestId::as_str),
            request.map(|_| digest),
            now,
            *by,
        ];
        tx.execute(&self.sql(INSERT), values).await?;
        Ok(())
    }
}

/// The field of `evaluation.json` that names the candidate.
#[derive(serde::Deserialize)]
struct EvaluationFile {
    model: Candidate,
}

#[derive(serde::Deserialize)]
struct Candidate {
    artifact: ArtifactRef,
}

/// The field of `verdict.json` that decides; the others are for people.
#[derive(serde::Deserialize)]
struct VerdictFile {
    state: Verdict,
}

/// The JSON of checked maps and lists.
pub(crate) fn json_text<T: serde::Serialize>(value: &T) -> String {
    #[expect(clippy::expect_used, reason = "maps of texts and finite numbers have a JSON form")]
    serde_json::to_string(value).expect("plain JSON")
}
