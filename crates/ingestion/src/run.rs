//! One attempt: sources in, dataset, profile and schema out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gristmill_frame::child::{Outcome as Integrated, integrate};
use gristmill_frame::{Error as FrameError, Job, SourceFile, read_parquet};
use gristmill_jobs::{Attempt, CrashPoint, JobError, Outcome, Work};
use gristmill_proto::ingestion::IngestionSpec;
use gristmill_stage::{AttemptPin, AttemptStore, job_error};
use gristmill_stats::profile::{Profile, ProfileOptions, profile};
use gristmill_stats::schema::{Anomaly, InferOptions, Schema, infer, validate};
use gristmill_store::{LocalFile, Store};
use gristmill_types::{ArtifactKind, ArtifactRef};
use prost::Message;

use crate::convert::{self, Location, Plan};
use crate::service::Ingestion;
use crate::{IngestionError, Settings};

/// The part of a `source` artifact that a `file:` source becomes.
const SOURCE_PART: &str = "data";

/// Does ingestion jobs.
#[derive(Debug)]
pub(crate) struct IngestionWork {
    pub store: Store,
    pub settings: Settings,
}

/// Sources in local files that nobody changes while they are read.
struct Spooled {
    files: BTreeMap<String, SourceFile>,
    artifacts: Vec<ArtifactRef>,
    /// Keeps the files in place.
    _held: Vec<LocalFile>,
}

/// What the rows say.
struct Findings {
    profile: Profile,
    schema: Schema,
    anomalies: Vec<Anomaly>,
}

impl Work for IngestionWork {
    const KIND: &'static str = "ingestion";

    fn slots(&self) -> usize {
        self.settings.bounds.threads.max(1)
    }

    async fn run(&self, attempt: Attempt) -> Result<Outcome, JobError> {
        let spec = IngestionSpec::decode(attempt.payload()).map_err(|error| {
            JobError::permanent("INVALID_SPEC", "the stored spec cannot be read: submit the job again").caused_by(error)
        })?;
        let plan = convert::check(&spec, &self.settings)?;
        let store = AttemptStore::new::<Ingestion>(&self.store, &attempt, "any")?;
        let spooled = self.spool(&attempt, &store, &plan).await?;
        let scratch = self.scratch()?;
        let output = scratch.path().join("rows.parquet");
        let integrated = self.integrate(&attempt, &plan, &spooled, &output).await?;
        attempt.reach(CrashPoint::MidWork);
        attempt.progress("profiling", 0.7, format!("{} rows", integrated.report.rows));
        let findings = findings(&attempt, &plan, output.clone()).await?;
        attempt.progress("writing", 0.9, "");
        put(&attempt, &store, &spooled.artifacts, &integrated, &findings, &output).await
    }
}

impl IngestionWork {
    /// Brings every source into the store (if it is not there) and to a verified local file.
    async fn spool(&self, attempt: &Attempt, store: &AttemptStore, plan: &Plan) -> Result<Spooled, JobError> {
        let mut spooled = Spooled { files: BTreeMap::new(), artifacts: Vec::new(), _held: Vec::new() };
        for (name, (location, spec)) in &plan.sources {
            attempt.progress("fetching sources", 0.0, name.clone());
            attempt.cancel().check()?;
            let artifact = match location {
                Location::Artifact(artifact) => *artifact,
                Location::Uri(uri) => {
                    let path = self.settings.resolve(&format!("sources.{name}.uri"), name, uri)?;
                    let mut writer = store.write(ArtifactKind::Source, []);
                    writer.part_file(SOURCE_PART, path).await.map_err(job_error)?;
                    writer.finish(&AttemptPin(attempt)).await.map_err(job_error)?
                }
            };
            let opened = store.open(&artifact).await?;
            let part = opened.manifest().parts().first().map(|part| part.name().to_owned()).ok_or_else(|| {
                IngestionError::spec(format!("sources.{name}"), "is an artifact without a file: upload it again")
            })?;
            let file = opened.part(&part).map_err(job_error)?.path().await.map_err(job_error)?;
            spooled.files.insert(name.clone(), SourceFile { spec: spec.clone(), path: file.as_ref().to_owned() });
            spooled.artifacts.push(artifact);
            spooled._held.push(file);
        }
        spooled.artifacts.sort_unstable();
        spooled.artifacts.dedup();
        Ok(spooled)
    }

    fn scratch(&self) -> Result<tempfile::TempDir, JobError> {
        let made = match &self.settings.scratch {
            Some(folder) => tempfile::tempdir_in(folder),
            None => tempfile::tempdir(),
        };
        made.map_err(|error| IngestionError::from(FrameError::Write { detail: error.kind().to_string() }).into())
    }

    /// Runs the integration in its child; ends it when the attempt is to stop.
    async fn integrate(
        &self,
        attempt: &Attempt,
        plan: &Plan,
        spooled: &Spooled,
        output: &Path,
    ) -> Result<Integrated, JobError> {
        let bounds = gristmill_frame::Bounds { threads: attempt.threads().max(1), ..self.settings.bounds };
        let job = Job {
            sources: spooled.files.clone(),
            integration: plan.integration.clone(),
            bounds,
            output: output.to_owned(),
        };
        let steps = (plan.sources.len() + plan.integration.steps.len() + 1) as f64;
        let mut done = 0.0;
        let progress = |phase: &str| {
            attempt.progress(phase, 0.7 * done / steps, "");
            done += 1.0;
        };
        let cancelled = async { drop(attempt.cancelled().await) };
        match integrate(&job, &self.settings.program, progress, cancelled).await {
            Ok(integrated) => {
                attempt.add_cpu(std::time::Duration::from_millis(integrated.observed.cpu_millis));
                tracing::info!(
                    rows = integrated.report.rows,
                    millis = integrated.observed.millis,
                    peak_bytes = integrated.observed.peak_bytes,
                    "integrated"
                );
                Ok(integrated)
            }
            Err(FrameError::Cancelled) => Err(attempt.cancelled().await),
            Err(error) => Err(IngestionError::from(error).into()),
        }
    }
}

/// Profile, schema, and anomalies against the expected schema; refuses those that are severe enough.
async fn findings(attempt: &Attempt, plan: &Plan, rows: PathBuf) -> Result<Findings, JobError> {
    let (expected, refuse) = (plan.expected.clone(), plan.refuse);
    attempt
        .blocking(move |cancel| {
            let columns = read_parquet(&rows).map_err(IngestionError::from)?;
            cancel.check()?;
            let profile = profile(&columns, &ProfileOptions::default());
            cancel.check()?;
            let anomalies = expected.as_ref().map(|schema| validate(&columns, schema).anomalies).unwrap_or_default();
            let severe: Vec<&Anomaly> =
                anomalies.iter().filter(|anomaly| refuse.is_some_and(|least| anomaly.severity >= least)).collect();
            if let Some(first) = severe.first() {
                return Err(IngestionError::Anomalies { count: severe.len(), first: first.long.clone() }.into());
            }
            let schema = expected.unwrap_or_else(|| infer(&profile, &InferOptions::default()));
            Ok(Findings { profile, schema, anomalies })
        })
        .await
}

/// Writes the three artifacts.
async fn put(
    attempt: &Attempt,
    store: &AttemptStore,
    sources: &[ArtifactRef],
    integrated: &Integrated,
    findings: &Findings,
    rows: &Path,
) -> Result<Outcome, JobError> {
    let dataset_json = json("report", &integrated.report)?;
    let profile_json = json("profile", &findings.profile)?;
    let schema_json = json("schema", &findings.schema)?;
    attempt.reach(CrashPoint::BeforePut);
    let mut writer = store.write(ArtifactKind::Dataset, sources.iter().copied());
    writer.part_file("rows.parquet", rows).await.map_err(job_error)?;
    writer.part_bytes("dataset.json", dataset_json).await.map_err(job_error)?;
    let dataset = writer.finish(&AttemptPin(attempt)).await.map_err(job_error)?;
    let profile = store.put(attempt, ArtifactKind::Profile, [dataset], [("profile.json", profile_json)]).await?;
    let schema = store.put(attempt, ArtifactKind::Schema, [dataset], [("schema.json", schema_json)]).await?;
    attempt.reach(CrashPoint::AfterPut);
    let artifacts = [dataset, profile, schema];
    let result = convert::result(artifacts, &integrated.report, &findings.anomalies);
    // The sources that were spooled are held by the dataset that was made from them.
    Ok(artifacts.into_iter().fold(Outcome::new(result.encode_to_vec()), Outcome::output))
}

fn json(what: &'static str, value: &impl serde::Serialize) -> Result<Vec<u8>, IngestionError> {
    serde_json::to_vec_pretty(value).map_err(|error| IngestionError::Document(what, error))
}
