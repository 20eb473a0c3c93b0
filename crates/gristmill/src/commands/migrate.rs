//! `migrate`: bring the tables of the data directory to the versions of this program.

use gristmill_runtime::Process;
use gristmill_runtime::database::{DataDir, TableVersion};
use serde_json::{Value, json};

use crate::cli::{Format, Global, Migrate};
use crate::failure::{Exit, Failure};
use crate::node::{DATABASE, Node, NodeOptions};
use crate::output::{self, table};
use crate::session::data_dir;

/// Applies the migrations of every stage. Each is one transaction, so what was interrupted goes on where it ended.
///
/// # Errors
/// The directory is in use, or a newer program wrote it: both versions are named.
pub async fn run(global: &Global, migrate: Migrate, process: Process) -> Result<Exit, Failure> {
    let failed =
        |error: gristmill_runtime::database::DatabaseError| Failure::failed(gristmill_rpc::error::chain(&error));
    let dir = DataDir::open(&data_dir(global.data_dir.as_deref())?).map_err(failed)?;
    let database = dir.database(DATABASE).await.map_err(failed)?;
    let before = database.table_versions().await.map_err(failed)?;
    let node = Node::start(std::sync::Arc::clone(&dir), NodeOptions::default(), &process).await?;
    let after = database.table_versions().await.map_err(failed);
    node.stop().await;
    print(&before, &after?, migrate.output)
}

fn print(before: &[TableVersion], after: &[TableVersion], format: Format) -> Result<Exit, Failure> {
    let was = |now: &TableVersion| {
        let same = |old: &&TableVersion| (&old.stage, &old.part) == (&now.stage, &now.part);
        before.iter().find(same).map_or(0, |old| old.version)
    };
    match format {
        Format::Json => {
            let one =
                |now: &TableVersion| json!({"stage": now.stage, "part": now.part, "from": was(now), "to": now.version});
            output::json(&json!({"tables": after.iter().map(one).collect::<Vec<Value>>()}))?;
        }
        Format::Text => {
            let row = |now: &TableVersion| {
                vec![now.stage.clone(), now.part.clone(), was(now).to_string(), now.version.to_string()]
            };
            let rows: Vec<Vec<String>> = after.iter().map(row).collect();
            output::text(&table(&["stage", "tables", "from", "to"], &rows))?;
        }
    }
    Ok(Exit::Done)
}
