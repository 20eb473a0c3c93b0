//! A training stage, its workers and what they stand on, each a process of its own with a proxy before it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use gristmill_proto::job::JobState;
use gristmill_proto::training::{CreateStudyJobRequest, GetStudyJobRequest, StudyResult, StudySpec};
use gristmill_s3server::{BUCKET, S3Server, WRITER};
use gristmill_testpg::{Binaries, Database, Server};
use gristmill_tests::stages::Program;
use gristmill_tests::{Desk, free, http};
use tonic::Status;

use crate::flour::{Flour, client};
use crate::history::{History, statement};
use crate::proxy::Proxy;
use crate::{check, runtime, until};

/// Seconds; the shortest that the stage takes.
pub const LEASE: u64 = 3;

/// What a study came to: compared with and without faults.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub result: StudyResult,
    /// Digests of the trials' models, sorted.
    pub trials: Vec<String>,
}

/// Replicas of the stage on one database and one store, workers, and the way between all of them.
pub struct Mill {
    pub desk: Desk,
    /// Between the stage and its database.
    pub to_database: Proxy,
    /// Between workers named `far` and the stage.
    pub to_stage: Proxy,
    /// The object store; without it, artifacts are in a folder.
    pub bucket: Option<S3Server>,
    server: &'static Server,
    database: Database<'static>,
    stages: BTreeMap<&'static str, Stage>,
    workers: BTreeMap<&'static str, Program>,
    /// What clients were told.
    acknowledged: Vec<(String, String)>,
    told: Vec<(String, String)>,
}

/// A replica.
struct Stage {
    grpc: SocketAddr,
    http: SocketAddr,
    program: Option<Program>,
}

impl Mill {
    /// One replica, `one`, ready and without workers; artifacts in a folder. None without a PostgreSQL server.
    pub fn new() -> Option<Self> {
        Self::on(Server::shared()?, false)
    }

    /// The same with artifacts on an object store.
    pub fn with_bucket() -> Option<Self> {
        Self::on(Server::shared()?, true)
    }

    /// The same on a server of one's own, which a test may stop.
    pub fn on(server: &'static Server, bucket: bool) -> Option<Self> {
        let mut mill = Self::idle(server, bucket);
        mill.serve("one", &[]);
        mill.wait_ready("one");
        Some(mill)
    }

    /// Nothing started yet.
    pub fn idle(server: &'static Server, bucket: bool) -> Self {
        let grpc = free();
        let bucket = bucket.then(|| runtime().block_on(S3Server::start()).unwrap());
        let mill = Self {
            desk: Desk::new(),
            to_database: Proxy::to(SocketAddr::from(([127, 0, 0, 1], server.port()))),
            to_stage: Proxy::to(grpc),
            bucket,
            server,
            database: server.database(),
            stages: [("one", Stage { grpc, http: free(), program: None })].into(),
            workers: BTreeMap::new(),
            acknowledged: Vec::new(),
            told: Vec::new(),
        };
        Flour::shared().pour(&mill.store());
        mill
    }

    /// Where the store's objects lie as files.
    pub fn store(&self) -> PathBuf {
        self.bucket.as_ref().map_or_else(|| self.desk.path().join("shared"), S3Server::bucket_folder)
    }

    fn places(&self, folder: &str) -> Vec<String> {
        let mut places = vec![format!("--data-dir={}", self.desk.path().join(folder).display())];
        match &self.bucket {
            None => places.push(format!("--store=file://{}", self.store().display())),
            Some(bucket) => {
                places.push(format!("--store=s3://{BUCKET}"));
                for setting in [
                    format!("endpoint={}", bucket.endpoint()),
                    "allow_http=true".into(),
                    "access_key_id=env:STORE_KEY".into(),
                    "secret_access_key=env:STORE_SECRET".into(),
                    "pause_ms=20".into(),
                    "request_timeout_ms=4000".into(),
                ] {
                    places.push(format!("--set=store.remote.{setting}"));
                }
            }
        }
        places
    }

    fn start(&self, args: &[String], environment: &[(&str, String)]) -> Program {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = self.desk.command_of("gristmill-training", &args);
        command.env("STORE_KEY", WRITER.key_id).env("STORE_SECRET", WRITER.secret);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Program::start(command)
    }

    /// Starts a replica of the stage, or starts it again where it was, with settings `KEY=VALUE` of its own.
    pub fn serve(&mut self, name: &'static str, settings: &[&str]) {
        self.serve_with(name, settings, &[]);
    }

    /// The same, with environment variables.
    pub fn serve_with(&mut self, name: &'static str, settings: &[&str], environment: &[(&str, String)]) {
        let stage = self.stages.entry(name).or_insert_with(|| Stage { grpc: free(), http: free(), program: None });
        let (grpc, http) = (stage.grpc, stage.http);
        let mut args = vec!["serve".to_owned(), format!("--grpc={grpc}"), format!("--http={http}")];
        args.extend(self.places(name));
        let own = ["database=env:DATABASE_URL".to_owned(), "training.trials=0".into()];
        let lease = format!("training.lease_seconds={LEASE}");
        let settings = settings.iter().map(|setting| (*setting).to_owned());
        args.extend(own.into_iter().chain([lease]).chain(settings).map(|setting| format!("--set={setting}")));
        let direct = format!(":{}/", self.server.port());
        let through = format!(":{}/", self.to_database.address().port());
        let url = self.server.tcp_url(self.database.name()).replace(&direct, &through);
        let environment: Vec<_> = environment.iter().cloned().chain([("DATABASE_URL", url)]).collect();
        let program = self.start(&args, &environment);
        self.stages.get_mut(name).unwrap().program = Some(program);
    }

    /// Waits until a replica is ready.
    pub fn wait_ready(&mut self, name: &str) {
        let stage = self.stages.get_mut(name).unwrap();
        until(&format!("{name} is ready"), || {
            let program = stage.program.as_mut().unwrap();
            assert!(!program.has_ended(), "{name} ended: {}", program.kill());
            http(stage.http, "GET", "/health/ready", "").is_some_and(|answer| answer.0 == 200)
        });
    }

    /// The program of a replica.
    pub fn stage(&mut self, name: &str) -> &mut Program {
        self.stages.get_mut(name).unwrap().program.as_mut().unwrap()
    }

    /// Where a replica serves gRPC.
    pub fn endpoint(&self, name: &str) -> String {
        format!("http://{}", self.stages[name].grpc)
    }

    /// Starts a worker of one slot: one named `far…` reaches the stage through the proxy. A name may be used again.
    pub fn work(&mut self, name: &'static str) {
        self.work_with(name, &[], &[]);
    }

    /// The same, with settings and environment variables.
    pub fn work_with(&mut self, name: &'static str, settings: &[&str], environment: &[(&str, String)]) {
        let through = format!("http://{}", self.to_stage.address());
        let endpoint = if name.starts_with("far") { through } else { self.endpoint("one") };
        let mut args = vec!["work".to_owned(), format!("--endpoint={endpoint}"), "--slots=1".into()];
        args.extend(["--set=drain_seconds=0".to_owned(), "--log=info".into()]);
        args.extend(settings.iter().map(|setting| format!("--set={setting}")));
        args.extend(self.places(name));
        let program = self.start(&args, environment);
        self.workers.insert(name, program);
    }

    /// A worker's program.
    pub fn worker(&mut self, name: &str) -> &mut Program {
        self.workers.get_mut(name).unwrap()
    }

    /// Takes a worker's program out, to end it.
    pub fn take_worker(&mut self, name: &str) -> Program {
        self.workers.remove(name).unwrap()
    }

    /// The name under which a worker's attempts are recorded.
    pub fn recorded(&mut self, name: &str) -> String {
        format!("training-{}", self.worker(name).pid())
    }

    /// Asks for a study, again under the same request until it is acknowledged; answers its job.
    pub fn submit(&mut self, request: &str, spec: &StudySpec) -> String {
        let mut answer = None;
        until("the study is acknowledged", || {
            answer = self.try_submit("one", request, spec).ok();
            answer.is_some()
        });
        answer.unwrap()
    }

    /// Asks once.
    pub fn try_submit(&mut self, stage: &str, request: &str, spec: &StudySpec) -> Result<String, Status> {
        let request_id = request.to_owned();
        let asked = CreateStudyJobRequest { request_id, spec: Some(spec.clone()), ..Default::default() };
        let mut client = client(&self.endpoint(stage));
        let answer = runtime().block_on(client.create_study_job(asked))?;
        let id = answer.into_inner().job.unwrap().job.unwrap().id;
        self.acknowledged.push((request.to_owned(), id.clone()));
        Ok(id)
    }

    /// Waits until a study has ended; answers what it came to, if it succeeded.
    pub fn finished(&mut self, id: &str) -> (JobState, Option<Outcome>) {
        let mut ended = None;
        let endpoint = self.endpoint("one");
        until("the study ends", || {
            let request = GetStudyJobRequest { id: id.to_owned(), ..Default::default() };
            let answer = runtime().block_on(client(&endpoint).get_study_job(request));
            let study = answer.ok().and_then(|answer| answer.into_inner().job);
            ended = study.filter(|study| {
                let state = study.job.as_ref().unwrap().state();
                !matches!(state, JobState::Queued | JobState::Running)
            });
            ended.is_some()
        });
        let study = ended.unwrap();
        let state = study.job.unwrap().state();
        let said = state.as_str_name().trim_start_matches("JOB_STATE_").to_lowercase();
        self.told.push((id.to_owned(), said));
        let trials = self.history().made("trial");
        (state, study.result.map(|result| Outcome { result, trials }))
    }

    /// What a query of the stage's tables answers; not through the proxy.
    pub fn ask(&self, query: &str) -> String {
        self.database.psql(query)
    }

    /// The same; none while the database does not answer.
    pub fn try_ask(&self, query: &str) -> Option<String> {
        let psql = Binaries::find()?.program("psql");
        let url = self.server.url(self.database.name());
        let output = Command::new(psql).args(["-X", "-q", "-A", "-t", "-d", &url, "-c", query]).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Lets the database take only readers from now on, or writers again; whoever is connected has to come again, as
    /// when another machine takes over.
    pub fn only_read(&self, on: bool) {
        let name = self.database.name();
        self.server.psql("postgres", &format!("alter database {name} set default_transaction_read_only = {on}"));
        let others = format!("datname = '{name}'");
        let ended = format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where {others}");
        let connected = self.server.psql("postgres", &ended) != "0";
        // Who found that it cannot write has left by itself.
        assert!(connected || !on, "nobody was connected");
    }

    /// How many rows fulfil a condition.
    pub fn count(&self, table: &str, condition: &str) -> usize {
        self.ask(&format!("select count(*) from training.{table} where {condition}")).parse().unwrap()
    }

    /// Waits until a worker has a trial; answers the trial.
    pub fn wait_at_work(&mut self, worker: &str) -> String {
        let name = self.recorded(worker);
        let query = format!("select id from training.job where state = 'running' and worker = '{name}' limit 1");
        let mut trial = String::new();
        until(&format!("{worker} has a trial"), || {
            trial = self.ask(&query);
            !trial.is_empty()
        });
        trial
    }

    /// Stops a worker (SIGSTOP) while it has a trial that it has not committed; answers the trial.
    pub fn catch_at_work(&mut self, worker: &str) -> String {
        let name = self.recorded(worker);
        loop {
            let trial = self.wait_at_work(worker);
            self.worker(worker).signal("STOP");
            // It may have been through with it just before.
            if self.count("job", &format!("id = '{trial}' and state = 'running' and worker = '{name}'")) == 1 {
                return trial;
            }
            self.worker(worker).signal("CONT");
        }
    }

    /// What happened so far.
    pub fn history(&self) -> History {
        let told = History::read(&self.ask(&statement("training")));
        History { acknowledged: self.acknowledged.clone(), told: self.told.clone(), ..told }
    }

    /// Asserts every invariant of the history and that every artifact is there; answers the history.
    pub fn judge(&self) -> History {
        let history = self.history();
        let mut findings = check::check(&history);
        findings.extend(check::stored(&history, &self.store()));
        assert!(findings.is_empty(), "{}\n{history:#?}", findings.join("\n"));
        history
    }

    /// Waits for a study and asserts that it came to what it comes to without faults, and every invariant.
    pub fn judge_study(&mut self, id: &str) -> History {
        let (state, outcome) = self.finished(id);
        assert_eq!((state, outcome.as_ref()), (JobState::Succeeded, Some(undisturbed())));
        self.judge()
    }
}

/// What the study of [`Flour`] comes to on one replica with one worker when nothing goes wrong.
pub fn undisturbed() -> &'static Outcome {
    static OUTCOME: OnceLock<Outcome> = OnceLock::new();
    OUTCOME.get_or_init(|| {
        let mut mill = Mill::new().unwrap();
        mill.work("near");
        let id = mill.submit("undisturbed", &Flour::shared().spec);
        let (state, outcome) = mill.finished(&id);
        assert_eq!(state, JobState::Succeeded);
        let history = mill.judge();
        assert!(history.jobs.values().all(|job| job.fence == 1), "nothing was done twice: {history:#?}");
        assert_eq!((mill.to_database.fired(), mill.to_stage.fired()), (0, 0));
        outcome.unwrap()
    })
}
