//! `migrate`: the stage's tables, from and to which versions.

use gristmill_rpc::error::chain;
use gristmill_runtime::Process;
use gristmill_runtime::database::TableVersion;

use super::command::print;
use super::{Flags, Parts, Peers, Program, begin};
use crate::{Failure, StageDeps, StageRoots};

/// Tables of one stage and how far they were and are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The stage.
    pub stage: String,
    /// Which of its tables, such as its job ledger.
    pub part: String,
    /// Migrations applied before.
    pub from: i64,
    /// Migrations applied now.
    pub to: i64,
}

/// What happened to every table.
pub fn moved(before: &[TableVersion], after: &[TableVersion]) -> Vec<Moved> {
    let was = |now: &TableVersion| {
        let same = |old: &&TableVersion| (&old.stage, &old.part) == (&now.stage, &now.part);
        before.iter().find(same).map_or(0, |old| old.version)
    };
    let one = |now: &TableVersion| Moved {
        stage: now.stage.clone(),
        part: now.part.clone(),
        from: was(now),
        to: now.version,
    };
    after.iter().map(one).collect()
}

/// Opens the stage, which brings its tables up to date, and says what that changed. No worker starts.
pub(super) async fn run<P: Program>(flags: &Flags) -> Result<(), Failure> {
    let Some(config) = flags.config::<P>()? else { return Ok(()) };
    let process = Process::new();
    let _telemetry = begin(&config, &process)?;
    let dir = crate::data_dir(&config.data_dir)?;
    let peers = Peers::connect(&config)?;
    let parts = Parts::open(&config, &process).await?;
    let database = crate::open_database(&dir, config.database.as_ref()).await?;
    let failed = |error: gristmill_runtime::database::DatabaseError| Failure::failed(chain(&error));
    let before = database.table_versions().await.map_err(failed)?;
    let deps = StageDeps { store: parts.store, database: database.clone(), slots: parts.slots, process };
    // Its tables hold the id under which the store knows the stage.
    StageRoots::register(&deps, P::SECTION).await?;
    let mounted = config.own.open(&deps, &peers).await?;
    let after = database.table_versions().await.map_err(failed)?;
    // What the stage has started in the background ends before the tables are left.
    deps.process.shutdown.request();
    futures::future::join_all(mounted.last).await;
    let line = |one: &Moved| format!("{} {}: {} -> {}\n", one.stage, one.part, one.from, one.to);
    let lines: String = moved(&before, &after).iter().map(line).collect();
    print(&lines)
}
