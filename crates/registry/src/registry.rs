//! The registry: rows about artifacts.

use std::sync::{Arc, Weak};
use std::time::Duration;

use gristmill_runtime::database::{Database, DatabaseError, Listener, Schema, Sql, Tx};
use gristmill_runtime::{Shutdown, values};
use gristmill_stage::StageDeps;
use gristmill_store::{ProjectStore, Store};
use gristmill_types::{Clock, Micros, Name, Project};
use tokio::sync::{Semaphore, watch};

use crate::config::Settings;
use crate::tables::MIGRATIONS;
use crate::{RegistryConfig, RegistryError};

/// Versions, aliases and lineage of all projects. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) database: Database,
    pub(crate) schema: Schema,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    /// Rung after every committed move, so that watches read on.
    pub(crate) bell: watch::Sender<u64>,
    /// Places for watches.
    pub(crate) watches: Arc<Semaphore>,
    /// Ends the watches when the process drains.
    pub(crate) shutdown: Shutdown,
}

/// What a committed move tells the watches of other processes.
pub(crate) const MOVED: &str = "moved";
/// How often watches look by themselves while they cannot be told.
const LOOK: Duration = Duration::from_secs(1);

const NEXT_CHANGE: &str = "insert into {s}change (project, last) values ($1, 1)
    on conflict (project) do update set last = {s}change.last + 1 returning last";
const AUDIT: &str = "insert into {s}audit (project, sequence, at, actor, action, subject, detail)
    values ($1, $2, $3, $4, $5, $6, $7)";

/// One change for the audit, written in the change's own transaction.
pub(crate) struct Change<'a> {
    pub(crate) project: &'a Project,
    pub(crate) actor: &'a str,
    pub(crate) action: &'static str,
    pub(crate) subject: String,
    pub(crate) detail: String,
}

impl Registry {
    /// Opens the registry, its tables migrated.
    ///
    /// # Errors
    /// [`RegistryError::Config`], [`RegistryError::Database`].
    pub async fn open(deps: &StageDeps, config: &RegistryConfig) -> Result<Self, RegistryError> {
        let settings = config.check()?;
        let stage = Name::new("registry").map_err(|error| RegistryError::Config(error.to_string()))?;
        let schema = Schema::new(&stage);
        deps.database.migrate(&schema, MIGRATIONS).await?;
        let inner = Inner {
            database: deps.database.clone(),
            schema,
            store: deps.store.clone(),
            clock: Arc::clone(&deps.process.clock),
            settings,
            bell: watch::Sender::new(0),
            watches: Arc::new(Semaphore::new(settings.max_watches)),
            shutdown: deps.process.shutdown.clone(),
        };
        let inner = Arc::new(inner);
        if let Some(listener) = inner.database.listen(&inner.schema).await {
            tokio::spawn(hear(Arc::downgrade(&inner), listener));
        }
        Ok(Self { inner })
    }

    pub(crate) fn sql(&self, text: &'static str) -> Sql {
        Sql::new(&self.inner.schema, text)
    }

    pub(crate) fn artifacts(&self, project: &Project) -> ProjectStore {
        self.inner.store.project(project)
    }

    pub(crate) fn now(&self) -> Micros {
        self.inner.clock.now()
    }

    /// Begins a change of the project. One at a time: what it reads stays as it is until it has written.
    pub(crate) async fn begin(&self, project: &Project) -> Result<Tx, DatabaseError> {
        let mut tx = self.inner.database.begin().await?;
        tx.lock(&self.inner.schema, project.as_str()).await?;
        Ok(tx)
    }

    /// Numbers a change of the project and writes its audit row.
    pub(crate) async fn record(&self, tx: &mut Tx, change: Change<'_>, at: Micros) -> Result<i64, RegistryError> {
        let row = tx.fetch_optional(&self.sql(NEXT_CHANGE), values![change.project]).await?;
        let sequence: i64 = row.ok_or(RegistryError::Row("last"))?.get("last")?;
        let audit = values![change.project, sequence, at, change.actor, change.action, change.subject, change.detail];
        tx.execute(&self.sql(AUDIT), audit).await?;
        Ok(sequence)
    }
}

/// Rings when an alias was moved in any process, or may have been, until the registry is gone.
async fn hear(registry: Weak<Inner>, mut listener: Listener) {
    let mut look = tokio::time::interval(LOOK);
    loop {
        let rings = tokio::select! {
            heard = listener.heard() => match heard {
                Some(_) => true,
                None => return,
            },
            _ = look.tick() => !listener.is_connected(),
        };
        let Some(registry) = registry.upgrade() else { return };
        if rings {
            registry.bell.send_modify(|rung| *rung += 1);
        }
    }
}
