//! Tests of the database handle: what both databases promise, and what is SQLite's alone.

mod shared;

use std::sync::Arc;

use gristmill_types::{Digest, ErrorCode, Name, Secret};

use super::{DataDir, Database, DatabaseError, Dialect, Migration, PostgresConfig, Schema, Sql};
use crate::values;

const GRAIN: Migration = Migration {
    version: 1,
    name: "grain",
    sql: "create table {s}grain (id bigint primary key, note text, share double precision, raw bytea);
          create index {s}grain_note on {s}grain (note);",
};
const MORE: Migration =
    Migration { version: 2, name: "more", sql: "alter table {s}grain add column grams bigint not null default 0;" };

fn schema() -> Schema {
    Schema::new(&Name::new("mill-one").unwrap())
}

async fn open(dir: &Arc<DataDir>) -> Database {
    dir.database("test").await.unwrap()
}

/// Runs a test on both databases.
macro_rules! both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let temp = tempfile::tempdir().unwrap();
                let dir = super::DataDir::open(temp.path()).unwrap();
                super::$name(super::open(&dir).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(server) = gristmill_testpg::Server::shared() else { return };
                let ground = server.database();
                super::$name(super::connect(&ground.url()).await).await;
            })*
        }
    };
}

both! {
    values_come_back_as_they_went_in,
    a_transaction_is_all_or_nothing_and_keys_are_unique,
    writers_wait_for_each_other,
    migrations_run_once_and_are_checked,
    a_broken_migration_leaves_nothing,
}

async fn connect(url: &str) -> Database {
    Database::connect(&PostgresConfig::new(Secret::new(url))).await.unwrap()
}

async fn count(db: &Database) -> i64 {
    let sql = Sql::new(&schema(), "select count(*) as n from {s}grain");
    db.fetch_optional(&sql, vec![]).await.unwrap().unwrap().get("n").unwrap()
}

async fn values_come_back_as_they_went_in(db: Database) {
    db.migrate(&schema(), &[GRAIN]).await.unwrap();
    let insert = Sql::new(&schema(), "insert into {s}grain (id, note, share, raw) values ($1, $2, $3, $4)");
    let mut tx = db.begin().await.unwrap();
    let digest = Digest::of(b"x");
    tx.execute(&insert, values![i64::MIN, digest, 0.1, vec![0_u8, 255]]).await.unwrap();
    tx.execute(&insert, values![2, None::<String>, 3.0, None::<Vec<u8>>]).await.unwrap();
    tx.commit().await.unwrap();
    let rows = db.fetch(&Sql::new(&schema(), "select * from {s}grain order by id"), vec![]).await.unwrap();
    assert_eq!(rows[0].get::<i64>("id").unwrap(), i64::MIN);
    assert_eq!(rows[0].get::<Digest>("note").unwrap(), digest);
    assert_eq!(rows[0].get::<f64>("share").unwrap(), 0.1);
    assert_eq!(rows[0].get::<Vec<u8>>("raw").unwrap(), [0, 255]);
    assert_eq!(rows[1].get::<Option<String>>("note").unwrap(), None);
    assert_eq!(rows[1].get::<f64>("share").unwrap(), 3.0);
    // The same statement once with and once without each value.
    let found =
        Sql::new(&schema(), "select id from {s}grain where ($1 is null or note = $1) and ($2 is null or id > $2)");
    for (note, above, ids) in [
        (None, None, vec![i64::MIN, 2]),
        (Some(digest), None, vec![i64::MIN]),
        (None, Some(0), vec![2]),
        (Some(digest), Some(0), vec![]),
    ] {
        let rows = db.fetch(&found, values![note, above]).await.unwrap();
        let found: Vec<i64> = rows.iter().map(|row| row.get("id").unwrap()).collect();
        assert_eq!(found, ids);
    }
    let each = Sql::from("select e.value from {each:$1} order by e.value");
    let rows = db.fetch(&each, values![r#"["b","a"]"#]).await.unwrap();
    assert_eq!(rows[0].get::<String>("value").unwrap(), "a");
    assert!(matches!(rows[0].get::<u32>("id"), Err(DatabaseError::Value { .. })));
    assert!(matches!(rows[0].get::<i64>("absent"), Err(DatabaseError::Value { .. })));
}

async fn a_transaction_is_all_or_nothing_and_keys_are_unique(db: Database) {
    db.migrate(&schema(), &[GRAIN]).await.unwrap();
    let insert = Sql::new(&schema(), "insert into {s}grain (id) values ($1)");
    let mut tx = db.begin().await.unwrap();
    assert_eq!(tx.execute(&insert, values![1]).await.unwrap(), 1);
    let error = tx.execute(&insert, values![1]).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Conflict(_)));
    assert!(!error.to_string().contains("grain"), "no table name for a caller: {error}");
    drop(tx);
    assert_eq!(count(&db).await, 0, "dropped is rolled back");
    let mut tx = db.begin().await.unwrap();
    tx.execute(&insert, values![1]).await.unwrap();
    assert_eq!(count(&db).await, 0, "readers see committed rows only");
    tx.commit().await.unwrap();
    assert_eq!(count(&db).await, 1);
    let write = db.fetch(&insert, values![2]).await;
    assert!(write.is_err(), "readers cannot write");
}

async fn writers_wait_for_each_other(db: Database) {
    db.migrate(&schema(), &[GRAIN]).await.unwrap();
    let insert = Sql::new(&schema(), "insert into {s}grain (id) select coalesce(max(id), 0) + 1 from {s}grain");
    let writers = (0..20).map(|_| {
        let (db, insert) = (db.clone(), insert.clone());
        tokio::spawn(async move {
            let mut tx = db.begin().await.unwrap();
            tx.lock(&schema(), "grain").await.unwrap();
            tx.execute(&insert, vec![]).await.unwrap();
            tx.commit().await.unwrap();
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(count(&db).await, 20);
}

#[tokio::test]
async fn writes_are_synced_to_the_disk() {
    let temp = tempfile::tempdir().unwrap();
    let db = open(&DataDir::open(temp.path()).unwrap()).await;
    let mut tx = db.begin().await.unwrap();
    let row = tx.fetch_optional(&Sql::from("select * from pragma_synchronous"), vec![]).await.unwrap().unwrap();
    assert_eq!(row.get::<i64>("synchronous").unwrap(), 2, "FULL");
    let row = tx.fetch_optional(&Sql::from("select * from pragma_journal_mode"), vec![]).await.unwrap().unwrap();
    assert_eq!(row.get::<String>("journal_mode").unwrap(), "wal");
}

async fn migrations_run_once_and_are_checked(db: Database) {
    for _ in 0..2 {
        db.migrate(&schema(), &[GRAIN, MORE]).await.unwrap();
    }
    // Another part of the same schema counts apart.
    let part = Migration { version: 1, name: "part", sql: "create table {s}part (id bigint);" };
    db.migrate_part(&schema(), "part", &[part]).await.unwrap();
    let older = db.migrate(&schema(), &[GRAIN]).await.unwrap_err();
    assert!(matches!(older, DatabaseError::NewerSchema { found: 2, known: 1, .. }), "{older}");
    let changed = Migration { sql: "select 1;", ..MORE };
    let error = db.migrate(&schema(), &[GRAIN, changed]).await.unwrap_err();
    assert!(matches!(error, DatabaseError::ChangedMigration { version: 2, .. }), "{error}");
    assert_eq!(error.code(), ErrorCode::FailedPrecondition);
    let versions = db.table_versions().await.unwrap();
    let versions: Vec<_> = versions.iter().map(|v| (v.stage.as_str(), v.part.as_str(), v.version)).collect();
    assert_eq!(versions, [("mill_one", "part", 1), ("mill_one", "stage", 2)]);
}

async fn a_broken_migration_leaves_nothing(db: Database) {
    let broken = Migration { version: 1, name: "broken", sql: "create table {s}grain (id bigint); select nonsense;" };
    assert!(db.migrate(&schema(), &[broken]).await.is_err());
    db.migrate(&schema(), &[GRAIN]).await.unwrap();
}

#[tokio::test]
async fn one_process_per_directory() {
    let temp = tempfile::tempdir().unwrap();
    assert_eq!(DataDir::holder(temp.path()), None);
    let dir = DataDir::open(temp.path()).unwrap();
    let own = std::process::id();
    let error = DataDir::open(temp.path()).unwrap_err();
    assert!(error.to_string().contains(&own.to_string()), "{error}");
    dir.announce(Some("http://127.0.0.1:7700")).unwrap();
    let holder = DataDir::holder(temp.path()).unwrap();
    assert_eq!((holder.pid, holder.endpoint.as_deref()), (own, Some("http://127.0.0.1:7700")));
    let error = DataDir::open(temp.path()).unwrap_err();
    assert!(error.to_string().contains("http://127.0.0.1:7700"), "{error}");
    // A handle on a database keeps the directory; the same name is the same handle.
    let db = open(&dir).await;
    drop(dir);
    assert!(DataDir::open(temp.path()).is_err());
    db.close().await;
    drop(db);
    assert_eq!(DataDir::holder(temp.path()), None, "the file is left, the lock is not");
    DataDir::open(temp.path()).unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_named_as_such() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("test.db"), b"this is not a database, whatever its name says".repeat(100)).unwrap();
    let dir = DataDir::open(temp.path()).unwrap();
    let error = dir.database("test").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DataLoss, "{error:?}");
}
