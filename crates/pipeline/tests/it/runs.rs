//! Runs over real ledgers, workers and channels.

use gristmill_proto::evaluation::VerdictState;
use gristmill_proto::job::JobState;
use gristmill_proto::pipeline::{
    CancelRunJobRequest, CheckPipelineRequest, CreateRunJobRequest, ListRunJobsRequest, ResumeRunRequest, RunJob,
    RunSpec,
};
use gristmill_rpc::Problem;
use gristmill_types::ErrorCode;

use crate::house::House;

const TEXT: &str = "\
apiVersion: gristmill/v1alpha1
kind: Pipeline
name: small
sources:
  rows: { path: rows.csv }
preparation:
  target: y
monitoring: { min_rows: 300 }
";

const STAGES: [&str; 4] = ["ingestion", "preparation", "training", "evaluation"];

fn state(run: &RunJob) -> JobState {
    run.job.as_ref().unwrap().state()
}

fn id(run: &RunJob) -> &str {
    &run.job.as_ref().unwrap().id
}

fn stages(run: &RunJob) -> Vec<(&str, JobState, bool)> {
    run.steps.iter().map(|step| (step.stage.as_str(), step.state(), step.cached)).collect()
}

const fn done(cached: bool) -> [(&'static str, JobState, bool); 6] {
    use JobState::Succeeded as S;
    [
        ("ingestion", S, cached),
        ("preparation", S, cached),
        ("training", S, cached),
        ("evaluation", S, cached),
        ("registration", S, cached),
        ("promotion", S, cached),
    ]
}

async fn house() -> (tempfile::TempDir, House) {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path()).await;
    (folder, house)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_through_every_step() {
    let (_folder, house) = house().await;
    let run = house.run(TEXT).await;
    let callers = house.registry.0.lock().unwrap().callers.clone();
    assert_eq!(callers, ["test via pipeline", "test via pipeline"], "both names, for the audit");
    assert_eq!(state(&run), JobState::Succeeded, "{:?}", run.job);
    assert_eq!(stages(&run), done(false));
    let result = run.result.as_ref().unwrap();
    assert_eq!((result.model_name.as_str(), result.model_version, result.verdict.as_str()), ("small", 1, "passed"));
    assert_eq!(result.aliases, ["champion"]);
    assert_eq!(result.summary, "as told");
    let kinds: Vec<_> = run.job.as_ref().unwrap().outputs.iter().map(|output| output.kind.as_str()).collect();
    let expected = ["dataset", "transform", "prepared", "prepared", "prepared", "study", "model", "evaluation"];
    assert_eq!(kinds, expected, "every artifact, once");
    let book = house.registry.0.lock().unwrap();
    assert_eq!(book.versions[0].run_id, id(&run));
    assert_eq!(book.versions[0].seen.len(), 2);
    assert_eq!(book.versions[0].tags["monitoring_min_rows"], "300");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_equal_run_reuses_every_step_and_the_version() {
    let (_folder, house) = house().await;
    let first = house.run(TEXT).await;
    let second = house.run(&format!("# the same, spelled otherwise\n{TEXT}")).await;
    assert_ne!(id(&first), id(&second));
    assert_eq!(stages(&second), done(true));
    assert_eq!(second.result.as_ref().unwrap().model_version, 1);
    assert_eq!(STAGES.map(|stage| house.script.computed(stage)), [1; 4]);
    assert_eq!(house.registry.0.lock().unwrap().moves, 1);
    // Another study: data and preparation are reused, and it is held against the champion.
    let third = house.run(&format!("{TEXT}training: {{ trials: 3 }}\n")).await;
    let cached: Vec<_> = third.steps.iter().map(|step| step.cached).collect();
    assert_eq!(cached, [true, true, false, false, false, false]);
    assert_eq!(third.result.unwrap().model_version, 2);
    assert_eq!(house.registry.0.lock().unwrap().aliases["champion"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_model_is_registered_and_not_promoted() {
    let (_folder, house) = house().await;
    *house.script.verdict.lock().unwrap() = Some(VerdictState::Refused);
    let run = house.run(TEXT).await;
    let result = run.result.as_ref().unwrap();
    assert_eq!((state(&run), result.verdict.as_str()), (JobState::Succeeded, "refused"));
    assert_eq!((result.model_version, result.aliases.len(), run.steps.len()), (1, 0, 5));
    let run = house.run(&format!("{TEXT}registry: {{ register: passed, model: other }}\n")).await;
    assert_eq!(run.result.unwrap().model_version, 0);
    assert!(house.registry.0.lock().unwrap().aliases.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_run_is_resumed_at_the_step_that_failed() {
    let (_folder, house) = house().await;
    house.script.broken.lock().unwrap().insert("training", "the stone is cracked".into());
    let failed = house.run(TEXT).await;
    assert_eq!(state(&failed), JobState::Failed);
    let error = failed.job.as_ref().unwrap().error.as_ref().unwrap();
    assert_eq!((error.reason.as_str(), error.message.as_str()), ("BROKEN", "training failed: the stone is cracked"));
    assert_eq!(failed.steps.len(), 3);
    assert_eq!(failed.steps[2].state(), JobState::Failed);
    assert_eq!(failed.steps[2].error.as_ref().unwrap().message, "the stone is cracked");
    house.script.broken.lock().unwrap().clear();
    let request = ResumeRunRequest { project: String::new(), id: id(&failed).into() };
    let resumed = house.client().resume_run(request.clone()).await.unwrap().into_inner().job.unwrap();
    let resumed = house.end_of(id(&resumed)).await;
    assert_eq!(state(&resumed), JobState::Succeeded);
    let cached: Vec<_> = resumed.steps.iter().map(|step| step.cached).collect();
    assert_eq!(cached, [true, true, false, false, false, false]);
    assert_eq!(STAGES.map(|stage| house.script.computed(stage)), [1, 1, 2, 1]);
    // Resuming again answers the run that has succeeded since.
    let again = house.client().resume_run(request).await.unwrap().into_inner().job.unwrap();
    assert_eq!(id(&again), id(&resumed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_a_run_cancels_its_step() {
    let (_folder, house) = house().await;
    house.script.hold("training");
    let run = house.start(TEXT).await.unwrap();
    house.script.started.notified().await;
    // An equal run that is asked for meanwhile is this one.
    assert_eq!(id(&house.start(TEXT).await.unwrap()), id(&run));
    let request = CancelRunJobRequest { project: String::new(), id: id(&run).into() };
    house.client().cancel_run_job(request).await.unwrap();
    let run = house.end_of(id(&run)).await;
    assert_eq!(state(&run), JobState::Cancelled);
    let last = run.steps.last().unwrap();
    assert_eq!((last.stage.as_str(), last.state()), ("training", JobState::Cancelled));
    // Then it can be resumed.
    let request = ResumeRunRequest { project: String::new(), id: id(&run).into() };
    let resumed = house.client().resume_run(request).await.unwrap().into_inner().job.unwrap();
    assert_eq!(state(&house.end_of(id(&resumed)).await), JobState::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_others_cancelled_is_handed_in_again() {
    let (_folder, house) = house().await;
    house.script.hold("ingestion");
    let run = house.start(TEXT).await.unwrap();
    house.script.started.notified().await;
    let mut ingestion =
        gristmill_proto::ingestion::ingestion_service_client::IngestionServiceClient::new(house.channel.clone());
    let jobs = ingestion.list_ingestion_jobs(gristmill_proto::ingestion::ListIngestionJobsRequest::default()).await;
    let id_of_job = jobs.unwrap().into_inner().jobs[0].job.as_ref().unwrap().id.clone();
    let request = gristmill_proto::ingestion::CancelIngestionJobRequest { project: String::new(), id: id_of_job };
    ingestion.cancel_ingestion_job(request).await.unwrap();
    assert_eq!(state(&house.end_of(id(&run)).await), JobState::Succeeded);
    assert_eq!(house.script.computed("ingestion"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_after_a_restart() {
    let (folder, house) = house().await;
    house.script.hold("training");
    let run = house.start(TEXT).await.unwrap();
    house.script.started.notified().await;
    let before = house.get(id(&run)).await.steps;
    house.drain().await;
    let house = House::open(folder.path()).await;
    let after = house.end_of(id(&run)).await;
    assert_eq!((state(&after), after.job.as_ref().unwrap().attempts), (JobState::Succeeded, 2));
    assert_eq!(STAGES.map(|stage| house.script.computed(stage)), [0, 0, 1, 1], "finished steps are not repeated");
    let cached: Vec<_> = after.steps.iter().map(|step| step.cached).collect();
    assert_eq!(cached[..2], [true, true], "what an earlier attempt finished is reused");
    // Training was under way: it may end before or after the second attempt asks for it.
    assert_eq!(cached[3..], [false, false, false]);
    for (step, was) in after.steps.iter().zip(&before).take(2) {
        assert_eq!((&step.job_id, step.seconds), (&was.job_id, was.seconds), "it took what it took");
    }
    assert_eq!(after.result.as_ref().unwrap().steps, after.steps);
    assert_eq!(after.result.unwrap().model_version, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_files_are_refused_at_once() {
    let (_folder, house) = house().await;
    let refused = house.start(&TEXT.replace("target: y", "tagret: y")).await.unwrap_err();
    let problem = Problem::from(&refused);
    assert_eq!((problem.code, problem.reason.as_ref()), (ErrorCode::InvalidArgument, "INVALID_PIPELINE"));
    assert!(problem.message.contains("line 7, preparation: `tagret` is not a key here"), "{problem}");
    assert_eq!(problem.metadata["line"], "7");
    let spec = RunSpec { pipeline: TEXT.into(), ..RunSpec::default() };
    let request = CreateRunJobRequest { spec: Some(spec), ..Default::default() };
    let refused = house.client().create_run_job(request).await.unwrap_err();
    assert_eq!(Problem::from(&refused).reason, "NOT_UPLOADED");
    let request = CheckPipelineRequest { pipeline: TEXT.into(), ..Default::default() };
    let canonical = house.client().check_pipeline(request).await.unwrap().into_inner().canonical;
    assert!(canonical.contains("\"promote\": \"champion\""), "{canonical}");
    let list = house.client().list_run_jobs(ListRunJobsRequest::default()).await.unwrap().into_inner();
    assert!(list.jobs.is_empty(), "nothing was recorded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_champion_that_moved_meanwhile_is_not_overwritten() {
    let (_folder, house) = house().await;
    house.registry.0.lock().unwrap().overtaken = true;
    let run = house.run(TEXT).await;
    assert_eq!(state(&run), JobState::Failed);
    let last = run.steps.last().unwrap();
    assert_eq!((last.stage.as_str(), last.state()), ("promotion", JobState::Failed));
    assert!(last.error.as_ref().unwrap().message.contains("the alias has moved"), "{last:?}");
    assert_eq!(house.registry.0.lock().unwrap().aliases["champion"], 77);
}
