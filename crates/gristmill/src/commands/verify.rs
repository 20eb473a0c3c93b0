//! `runs verify`: every step of a run once more from its recorded inputs, and the bytes compared.

use gristmill_proto::artifact::{Artifact, ArtifactRef, GetArtifactRequest};
use gristmill_proto::job::JobState;
use gristmill_proto::{evaluation, ingestion, preparation, training};
use serde::Serialize;
use serde_json::Value;

use super::results::steps;
use super::{jobs, runs};
use crate::cli::{Format, Global, RunId};
use crate::failure::{Exit, Failure};
use crate::output::{self, table};
use crate::progress::Bars;
use crate::session::Session;
use crate::transfer;

/// Digits of a digest that people compare.
const SHOWN: usize = 12;

/// The documented object of `runs verify`.
#[derive(Debug, Serialize)]
struct Verified {
    run_id: String,
    /// Every artifact is the same.
    verified: bool,
    /// The first artifact that is not, in the order of the steps.
    first_difference: Option<Compared>,
    artifacts: Vec<Compared>,
}

/// One artifact of the run beside what was computed now.
#[derive(Debug, Clone, Serialize)]
struct Compared {
    stage: String,
    kind: String,
    recorded: String,
    again: String,
    same: bool,
    /// Parts that differ.
    parts: Vec<String>,
    /// What differs by design, if anything does.
    note: String,
}

/// What a step made then and now.
struct Pair {
    recorded: Vec<ArtifactRef>,
    again: Vec<ArtifactRef>,
    /// A field of a part that differs by design, and why; its artifact is compared part by part.
    except: Option<(&'static str, &'static str, &'static str)>,
}

/// Hands a step's recorded spec in again, to be computed whatever is there. `$change` may adapt the spec and
/// answers what then differs by design.
macro_rules! again {
    ($name:ident, $client:ident, $package:ident, $get:ident / $get_request:ident,
     $create:ident / $create_request:ident, $change:expr) => {
        async fn $name(session: &Session, bars: &Bars, id: &str) -> Result<Pair, Failure> {
            let lost = || Failure::failed(concat!("the job of ", stringify!($name), " is no longer known"));
            let project = || session.project.clone();
            let mut client = session.$client();
            let request = $package::$get_request { project: project(), id: id.to_owned() };
            let before = client.$get(request).await?.into_inner().job.ok_or_else(lost)?;
            let recorded = before.job.as_ref().map(|job| job.outputs.clone()).unwrap_or_default();
            let mut spec = before.spec.clone().ok_or_else(lost)?;
            let except = $change(&mut spec, before.result.as_ref());
            let request = $package::$create_request {
                project: project(),
                request_id: String::new(),
                spec: Some(spec),
                fresh: true,
            };
            let job = client.$create(request).await?.into_inner().job.and_then(|job| job.job);
            let request = $package::$get_request { project: project(), id: job.ok_or_else(lost)?.id };
            let look = async || client.$get(request.clone()).await.map(tonic::Response::into_inner);
            let bar = bars.work(stringify!($name));
            let done =
                jobs::wait(session, stringify!($name), &bar, look, |answer| answer.job.as_ref()?.job.as_ref()).await?;
            let again = done.job.and_then(|job| job.job).map(|job| job.outputs).unwrap_or_default();
            Ok(Pair { recorded, again, except })
        }
    };
}

again!(
    ingestion,
    ingestion,
    ingestion,
    get_ingestion_job / GetIngestionJobRequest,
    create_ingestion_job / CreateIngestionJobRequest,
    |_: &mut ingestion::IngestionSpec, _: Option<&ingestion::IngestionResult>| None
);
again!(
    preparation,
    preparation,
    preparation,
    get_preparation_job / GetPreparationJobRequest,
    create_preparation_job / CreatePreparationJobRequest,
    |_: &mut preparation::PreparationSpec, _: Option<&preparation::PreparationResult>| None
);
again!(
    training,
    training,
    training,
    get_study_job / GetStudyJobRequest,
    create_study_job / CreateStudyJobRequest,
    replayed
);
again!(
    evaluation,
    evaluation,
    evaluation,
    get_evaluation_job / GetEvaluationJobRequest,
    create_evaluation_job / CreateEvaluationJobRequest,
    unnamed
);

type Except = Option<(&'static str, &'static str, &'static str)>;

/// A study that its clock stopped after n trials is replayed with n.
fn replayed(spec: &mut training::StudySpec, result: Option<&training::StudyResult>) -> Except {
    let result = result.filter(|result| result.stopped_by == "time")?;
    spec.trials = u32::try_from(result.leaderboard.len()).unwrap_or(spec.trials);
    spec.time_budget_seconds = 0;
    Some(("leaderboard.json", "stopped_by", "time stopped the study: the same trials were replayed without a clock"))
}

/// Computing the same numbers again is no further look at the test split, so it is not counted under the
/// model's name; the count itself is in the document.
fn unnamed(spec: &mut evaluation::EvaluationSpec, _: Option<&evaluation::EvaluationResult>) -> Except {
    spec.model_name.clear();
    Some(("evaluation.json", "test_opened", "but for the count of openings of the test split"))
}

/// Verifies a run.
///
/// # Errors
/// There is no such run, it has no finished step, or a step fails now.
pub async fn verify(session: &Session, global: &Global, id: &RunId) -> Result<Exit, Failure> {
    let run = runs::get(session, &runs::resolve(session, id).await?).await?;
    let run_id = run.job.clone().unwrap_or_default().id;
    let bars = Bars::new(global.quiet);
    let mut artifacts = Vec::new();
    for step in steps(&run).iter().filter(|step| step.state() == JobState::Succeeded) {
        let job = step.job_id.as_str();
        let pair = match step.stage.as_str() {
            "ingestion" => ingestion(session, &bars, job).await?,
            "preparation" => preparation(session, &bars, job).await?,
            "training" => training(session, &bars, job).await?,
            "evaluation" => evaluation(session, &bars, job).await?,
            // Versions and aliases are rows of the registry, not artifacts.
            _ => continue,
        };
        artifacts.extend(compare(session, &step.stage, &pair).await?);
    }
    bars.clear();
    if artifacts.is_empty() {
        return Err(Failure::usage(format!("run {run_id} has no finished step: there is nothing to verify")));
    }
    let first_difference = artifacts.iter().find(|compared| !compared.same).cloned();
    let verified = Verified { run_id, verified: first_difference.is_none(), first_difference, artifacts };
    match id.output {
        Format::Json => output::json(&verified)?,
        Format::Text => output::text(&text(&verified))?,
    }
    Ok(if verified.verified { Exit::Done } else { Exit::Failed })
}

async fn compare(session: &Session, stage: &str, pair: &Pair) -> Result<Vec<Compared>, Failure> {
    let mut compared = Vec::new();
    for at in 0..pair.recorded.len().max(pair.again.len()) {
        let (recorded, again) = (pair.recorded.get(at), pair.again.get(at));
        let digest = |artifact: Option<&ArtifactRef>| artifact.map(|a| a.digest.clone()).unwrap_or_default();
        let mut one = Compared {
            stage: stage.to_owned(),
            kind: recorded.or(again).map(|a| a.kind.clone()).unwrap_or_default(),
            recorded: digest(recorded),
            again: digest(again),
            same: recorded == again,
            parts: Vec::new(),
            note: String::new(),
        };
        if let (false, Some(recorded), Some(again)) = (one.same, recorded, again) {
            one.parts = differing(session, recorded, again, pair.except).await?;
            if let (true, Some((_, _, why))) = (one.parts.is_empty(), pair.except) {
                (one.same, one.note) = (true, why.to_owned());
            }
        }
        compared.push(one);
    }
    Ok(compared)
}

/// The parts of two artifacts that differ, but for the field that may.
async fn differing(
    session: &Session,
    recorded: &ArtifactRef,
    again: &ArtifactRef,
    except: Except,
) -> Result<Vec<String>, Failure> {
    let (then, now) = (manifest(session, recorded).await?, manifest(session, again).await?);
    let mut names: Vec<&str> = then.parts.iter().chain(&now.parts).map(|part| part.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut parts = Vec::new();
    for name in names {
        let digest = |of: &Artifact| of.parts.iter().find(|part| part.name == name).map(|part| part.digest.clone());
        if digest(&then) == digest(&now) {
            continue;
        }
        let same = match except {
            // A page shows what the documents say, the excepted field too.
            Some(_) if name == "report.html" => true,
            Some((part, field, _)) if part == name => {
                without(session, recorded, name, field).await? == without(session, again, name, field).await?
            }
            _ => false,
        };
        if !same {
            parts.push(name.to_owned());
        }
    }
    Ok(parts)
}

async fn manifest(session: &Session, artifact: &ArtifactRef) -> Result<Artifact, Failure> {
    let request = GetArtifactRequest { project: session.project.clone(), artifact: Some(artifact.clone()) };
    Ok(session.artifacts().get_artifact(request).await?.into_inner().artifact.unwrap_or_default())
}

async fn without(session: &Session, artifact: &ArtifactRef, part: &str, field: &str) -> Result<Value, Failure> {
    let bytes = transfer::read(&mut session.artifacts(), &session.project, artifact, part).await?;
    let mut document: Value = serde_json::from_slice(&bytes).map_err(Failure::failed)?;
    if let Some(object) = document.as_object_mut() {
        object.remove(field);
    }
    Ok(document)
}

fn text(verified: &Verified) -> String {
    let short = |digest: &str| digest.chars().take(SHOWN).collect::<String>();
    let row = |one: &Compared| {
        let word = if one.same { "same" } else { "differs" };
        let why = if one.parts.is_empty() { one.note.clone() } else { one.parts.join(", ") };
        vec![one.stage.clone(), one.kind.clone(), short(&one.recorded), short(&one.again), word.to_owned(), why]
    };
    let rows: Vec<Vec<String>> = verified.artifacts.iter().map(row).collect();
    let end = match &verified.first_difference {
        None => format!("run {} gives the same artifacts again", verified.run_id),
        Some(first) => format!("run {} differs, first in the {} of {}", verified.run_id, first.kind, first.stage),
    };
    format!("{}\n{end}\n", table(&["step", "artifact", "recorded", "again", "", ""], &rows))
}
