//! `runs`: list, show, watch, cancel, resume; verify and diff are next door.

use std::time::Duration;

use futures::StreamExt;
use gristmill_proto::job::{Job, JobState};
use gristmill_proto::pipeline::{
    CancelRunJobRequest, GetRunJobRequest, ListRunJobsRequest, ResumeRunRequest, RunJob, WatchRunJobRequest,
};
use gristmill_runtime::Process;
use serde_json::{Value, json};

use super::jobs::stopped;
use super::results::{RunResults, state_name, steps};
use super::{diff, verify};
use crate::cli::{Format, Global, RunId, Runs};
use crate::failure::{Exit, Failure};
use crate::output::{self, table};
use crate::progress::{Bars, ended};
use crate::session::Session;

/// How often a run is looked at between its events: progress is not an event.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The word for the newest run.
const LAST: &str = "last";

/// Runs one of the commands.
///
/// # Errors
/// As the exit codes say.
pub async fn run(global: &Global, runs: Runs, process: Process) -> Result<Exit, Failure> {
    let session = Session::open(global, process, None).await?;
    let done = match runs {
        Runs::List { limit, output } => list(&session, limit, output).await,
        Runs::Show(id) => show(&session, &id).await,
        Runs::Watch(id) => watch(&session, global, &id).await,
        Runs::Cancel(id) => cancel(&session, &id).await,
        Runs::Resume(id) => resume(&session, global, &id).await,
        Runs::Verify(id) => verify::verify(&session, global, &id).await,
        Runs::Diff(pair) => diff::diff(&session, &pair).await,
    };
    session.close().await;
    done
}

async fn page(session: &Session, page_size: u32) -> Result<Vec<RunJob>, Failure> {
    let request = ListRunJobsRequest { project: session.project.clone(), page_size, page_token: String::new() };
    Ok(session.pipelines().list_run_jobs(request).await?.into_inner().jobs)
}

async fn list(session: &Session, limit: u32, format: Format) -> Result<Exit, Failure> {
    let runs = page(session, limit.clamp(1, 1000)).await?;
    let name = |run: &RunJob| run.result.as_ref().map(|result| result.model_name.clone()).unwrap_or_default();
    let verdict = |run: &RunJob| run.result.as_ref().map(|result| result.verdict.clone()).unwrap_or_default();
    match format {
        Format::Json => {
            let object = |run: &RunJob| {
                let job = run.job.clone().unwrap_or_default();
                json!({
                    "run_id": job.id, "state": state_name(job.state()), "created_at_micros": job.created_at,
                    "finished_at_micros": job.finished_at, "model": name(run), "verdict": verdict(run),
                })
            };
            output::json(&json!({"runs": runs.iter().map(object).collect::<Vec<Value>>()}))?;
        }
        Format::Text => {
            let row = |run: &RunJob| {
                let job = run.job.clone().unwrap_or_default();
                let took = match (job.started_at, job.finished_at) {
                    (start, end) if start > 0 && end > start => output::seconds((end - start) as f64 / 1e6),
                    _ => String::new(),
                };
                vec![job.id.clone(), state_name(job.state()).to_owned(), took, name(run), verdict(run)]
            };
            let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
            output::text(&table(&["run", "state", "time", "model", "verdict"], &rows))?;
        }
    }
    Ok(Exit::Done)
}

/// The id itself, or that of the newest run.
///
/// # Errors
/// There is no run yet.
pub async fn resolve(session: &Session, id: &RunId) -> Result<String, Failure> {
    named(session, &id.id).await
}

/// As [`resolve`], for a run that is named alone.
///
/// # Errors
/// There is no run yet.
pub async fn named(session: &Session, id: &str) -> Result<String, Failure> {
    if id != LAST {
        return Ok(id.to_owned());
    }
    let newest = page(session, 1).await?.into_iter().next().and_then(|run| run.job);
    newest.map(|job| job.id).ok_or_else(|| Failure::usage("there is no run yet: `gristmill run` makes one"))
}

/// One look at a run.
///
/// # Errors
/// There is no such run.
pub async fn get(session: &Session, id: &str) -> Result<RunJob, Failure> {
    let request = GetRunJobRequest { project: session.project.clone(), id: id.to_owned() };
    let answer = session.pipelines().get_run_job(request).await?.into_inner();
    answer.job.ok_or_else(|| Failure::failed("the pipeline service answered without a run"))
}

async fn show(session: &Session, id: &RunId) -> Result<Exit, Failure> {
    let run = get(session, &resolve(session, id).await?).await?;
    let results = RunResults::gather(session, run).await?;
    print(&results, id.output)?;
    Ok(Exit::Done)
}

fn print(results: &RunResults, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => output::json(&results.object()),
        Format::Text => output::text(&results.text()),
    }
}

async fn watch(session: &Session, global: &Global, id: &RunId) -> Result<Exit, Failure> {
    let mut bars = Bars::new(global.quiet);
    let run = follow(session, &resolve(session, id).await?, &mut bars).await?;
    let results = RunResults::gather(session, run).await?;
    print(&results, id.output)?;
    Ok(results.exit())
}

async fn cancel(session: &Session, id: &RunId) -> Result<Exit, Failure> {
    let request = CancelRunJobRequest { project: session.project.clone(), id: resolve(session, id).await? };
    let run = session.pipelines().cancel_run_job(request).await?.into_inner().job.unwrap_or_default();
    print(&RunResults::gather(session, run).await?, id.output)?;
    Ok(Exit::Done)
}

async fn resume(session: &Session, global: &Global, id: &RunId) -> Result<Exit, Failure> {
    let request = ResumeRunRequest { project: session.project.clone(), id: resolve(session, id).await? };
    let resumed = session.pipelines().resume_run(request).await?.into_inner().job.and_then(|run| run.job);
    let id = RunId { id: resumed.unwrap_or_default().id, output: id.output };
    watch(session, global, &id).await
}

/// Follows a run until it has ended: looks at it whenever something happens, and in between for the
/// progress of its steps.
///
/// # Errors
/// The service cannot be asked, the disk is full, or this command is to stop.
pub async fn follow(session: &Session, id: &str, bars: &mut Bars) -> Result<RunJob, Failure> {
    let request = WatchRunJobRequest { project: session.project.clone(), id: id.to_owned(), after_sequence: 0 };
    let mut events = session.pipelines().watch_run_job(request).await?.into_inner().fuse();
    loop {
        let run = get(session, id).await?;
        bars.steps(steps(&run));
        if ended(run.job.as_ref().map_or(JobState::Unspecified, Job::state)) {
            bars.clear();
            return Ok(run);
        }
        session.room()?;
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            // A watch that ended early (too slow, a drained server) leaves the clock to look by.
            Some(_event) = events.next() => {}
            () = session.process.shutdown.requested() => return Err(stopped("the run", session.is_local())),
        }
    }
}
