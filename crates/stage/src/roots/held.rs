//! What one stage holds, and the name under which the store knows it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use gristmill_jobs::Ledger;
use gristmill_rpc::error::chain;
use gristmill_runtime::database::{Database, DatabaseError, Migration, Schema, Sql};
use gristmill_runtime::values;
use gristmill_store::{Holder, RootProvider, Roots};
use gristmill_types::{Name, Project};
use rand::RngCore;

use crate::{Failure, StageDeps};

/// Counted apart from the stage's own tables, which know nothing of the store.
const PART: &str = "holder";
const MIGRATIONS: &[Migration] = &[Migration { version: 1, name: "id of the tables", sql: FIRST }];
const FIRST: &str = "create table {s}holder (one bigint not null primary key, id text not null);";
const MAKE: &str = "insert into {s}holder (one, id) values (1, $1) on conflict (one) do nothing";
const READ: &str = "select id from {s}holder where one = 1";

/// A ledger's jobs and living attempts. Its answer spans projects, which only keeps more.
#[derive(Debug)]
pub struct LedgerRoots(Arc<dyn Ledger>);

impl LedgerRoots {
    /// What `ledger` holds.
    pub fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self(ledger)
    }
}

#[async_trait]
impl RootProvider for LedgerRoots {
    fn name(&self) -> &str {
        "job ledger"
    }

    async fn roots(&self, _project: &Project) -> Result<Roots, String> {
        // Pins, since a living attempt's digests may have no bytes yet; a manifest among them keeps
        // everything it was made from.
        let pins = self.0.roots().await.map_err(|error| error.to_string())?;
        Ok(Roots { pins, ..Roots::default() })
    }
}

/// Everything that one stage's tables hold, as one holder that is registered in the store.
#[derive(Clone)]
pub struct StageRoots {
    holder: Holder,
    providers: Vec<Arc<dyn RootProvider>>,
}

impl fmt::Debug for StageRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let providers: Vec<&str> = self.providers.iter().map(|one| one.name()).collect();
        f.debug_struct("StageRoots").field("holder", &self.holder.to_string()).field("providers", &providers).finish()
    }
}

impl StageRoots {
    /// Registers the tables of `stage` in the store, under an id that is drawn once and kept in them. To be
    /// called before the stage can name its first artifact; it holds nothing until [`Self::with`] says what.
    ///
    /// # Errors
    /// The database or the store cannot be written.
    pub async fn register(deps: &StageDeps, stage: &str) -> Result<Self, Failure> {
        let stage = Name::new(stage).map_err(Failure::failed)?;
        let id = id(&deps.database, &stage).await.map_err(|error| Failure::failed(chain(&error)))?;
        let holder = Holder { stage, id };
        deps.store.register(&holder).await.map_err(|error| Failure::failed(chain(&error)))?;
        Ok(Self { holder, providers: Vec::new() })
    }

    /// With everything that the stage holds; whoever is missing here loses what only it names.
    #[must_use]
    pub fn with(mut self, providers: impl IntoIterator<Item = Arc<dyn RootProvider>>) -> Self {
        self.providers.extend(providers);
        self
    }

    /// Under which name it is registered.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }
}

#[async_trait]
impl RootProvider for StageRoots {
    fn name(&self) -> &str {
        self.holder.stage.as_str()
    }

    async fn roots(&self, project: &Project) -> Result<Roots, String> {
        let mut all = Roots { holders: vec![self.holder.clone()], ..Roots::default() };
        for provider in &self.providers {
            let held = provider.roots(project).await.map_err(|why| format!("{}: {why}", provider.name()))?;
            all.artifacts.extend(held.artifacts);
            all.pins.extend(held.pins);
        }
        for digests in [&mut all.artifacts, &mut all.pins] {
            digests.sort();
            digests.dedup();
        }
        Ok(all)
    }
}

/// The id of a stage's tables, made by whoever opens them first.
async fn id(database: &Database, stage: &Name) -> Result<Name, DatabaseError> {
    let schema = Schema::new(stage);
    database.migrate_part(&schema, PART, MIGRATIONS).await?;
    let read = Sql::new(&schema, READ);
    let mut row = database.fetch_optional(&read, values![]).await?;
    if row.is_none() {
        let mut tx = database.begin().await?;
        tx.execute(&Sql::new(&schema, MAKE), values![drawn()]).await?;
        // Another process may have been first: what is stored counts.
        row = tx.fetch_optional(&read, values![]).await?;
        tx.commit().await?;
    }
    row.ok_or(DatabaseError::Value { column: "id".into(), expected: "one row" })?.get("id")
}

/// A name that no other tables have. It stands in no artifact and no cache key (I8).
fn drawn() -> String {
    let mut bytes = [0; 16];
    rand::rngs::OsRng.fill_bytes(&mut bytes);
    bytes.iter().fold(String::from("h"), |text, byte| text + &format!("{byte:02x}"))
}
