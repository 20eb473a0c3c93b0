//! `migrate`: bring the tables of the data directory, or of the database that `up` would use, to the versions of this
//! program.

use gristmill_runtime::Process;
use gristmill_stage::serve::{Moved, moved};
use serde_json::{Value, json};

use super::up::settings;
use crate::cli::{Format, Global, Migrate, Up};
use crate::failure::{Exit, Failure};
use crate::node::{Node, NodeOptions};
use crate::output::{self, table};
use crate::session::data_dir;

/// Applies the migrations of every stage. Each is one transaction, so what was interrupted goes on where it ended.
///
/// # Errors
/// The directory is in use, or a newer program wrote it: both versions are named.
pub async fn run(global: &Global, migrate: Migrate, process: Process) -> Result<Exit, Failure> {
    let failed =
        |error: gristmill_runtime::database::DatabaseError| Failure::failed(gristmill_rpc::error::chain(&error));
    let dir = gristmill_stage::data_dir(&data_dir(global.data_dir.as_deref())?)?;
    let config = settings(global, &Up { config: migrate.config.clone(), ..Up::default() })?.value;
    let options = NodeOptions { database: config.database, store: config.store, ..NodeOptions::default() };
    let database = gristmill_stage::open_database(&dir, options.database.as_ref()).await?;
    let before = database.table_versions().await.map_err(failed)?;
    let node = Node::start(std::sync::Arc::clone(&dir), options, &process).await?;
    let after = database.table_versions().await.map_err(failed);
    node.stop().await;
    print(&moved(&before, &after?), migrate.output)
}

fn print(tables: &[Moved], format: Format) -> Result<Exit, Failure> {
    match format {
        Format::Json => {
            let one =
                |table: &Moved| json!({"stage": table.stage, "part": table.part, "from": table.from, "to": table.to});
            output::json(&json!({"tables": tables.iter().map(one).collect::<Vec<Value>>()}))?;
        }
        Format::Text => {
            let row = |table: &Moved| {
                vec![table.stage.clone(), table.part.clone(), table.from.to_string(), table.to.to_string()]
            };
            let rows: Vec<Vec<String>> = tables.iter().map(row).collect();
            output::text(&table(&["stage", "tables", "from", "to"], &rows))?;
        }
    }
    Ok(Exit::Done)
}
