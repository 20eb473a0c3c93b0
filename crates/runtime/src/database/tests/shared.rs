//! What only a database that processes share must do: PostgreSQL.

use std::time::Duration;

use gristmill_testpg::Server;
use gristmill_types::{Clock, SystemClock};

use super::*;
use crate::database::{Heard, Migrations, Tx};

fn config(url: &str) -> PostgresConfig {
    PostgresConfig {
        acquire: Duration::from_secs(5),
        lock: Duration::from_millis(200),
        ..PostgresConfig::new(Secret::new(url))
    }
}

async fn with_grain(url: &str) -> Database {
    let db = Database::connect(&config(url)).await.unwrap();
    db.migrate(&schema(), &[GRAIN]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let insert = Sql::new(&schema(), "insert into {s}grain (id) values (1), (2)");
    tx.execute(&insert, vec![]).await.unwrap();
    tx.commit().await.unwrap();
    db
}

async fn ids(tx: &mut Tx, text: &'static str) -> Result<Vec<i64>, DatabaseError> {
    let rows = tx.fetch(&Sql::new(&schema(), text), vec![]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

#[tokio::test]
async fn what_cannot_be_connected_to_is_told_without_the_address() {
    let Some(server) = Server::shared() else { return };
    let port = server.port();
    // Nobody listens on a port that was just given back.
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let cases = [
        ("not a url with hunter2".to_owned(), ErrorCode::FailedPrecondition, "postgres://"),
        (format!("postgres://gristmill:hunter2@127.0.0.1:{port}/postgres"), ErrorCode::FailedPrecondition, "refuses"),
        (server.url("nowhere"), ErrorCode::FailedPrecondition, "refuses"),
        (format!("postgres://gristmill:hunter2@127.0.0.1:{closed}/x"), ErrorCode::Unavailable, "reached"),
        (format!("{}?sslmode=require", server.tcp_url("postgres")), ErrorCode::FailedPrecondition, "secure"),
    ];
    for (url, code, words) in cases {
        let error = Database::connect(&config(&url)).await.unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
        let told = error.to_string();
        assert!(told.contains(words), "{told}");
        assert!(!told.contains("127.0.0.1") && !told.contains("hunter2"), "{told}");
        assert!(!format!("{error:?}").contains("hunter2"), "not in the log either: {error:?}");
    }
    server.psql("postgres", "create database latin encoding 'LATIN1' template template0");
    let error = Database::connect(&config(&server.url("latin"))).await.unwrap_err();
    assert!(error.to_string().contains("UTF8"), "{error}");
}

#[tokio::test]
async fn stages_share_a_database_and_not_their_tables() {
    let Some(server) = Server::shared() else { return };
    let ground = server.database();
    let db = connect(&ground.url()).await;
    // A stage may be called like a word of the language.
    for stage in ["order", "mill-one"] {
        db.migrate(&Schema::new(&Name::new(stage).unwrap()), &[GRAIN, MORE]).await.unwrap();
    }
    let tables = ground.psql("select schemaname from pg_tables where tablename = 'grain' order by 1");
    assert_eq!(tables, "mill_one\norder");
    assert_eq!(ground.psql("select count(*) from pg_indexes where indexname = 'grain_note'"), "2");
    assert_eq!(db.dialect(), Dialect::Postgres);
    assert!(db.data_dir().is_none() && db.is_shared());
}

#[tokio::test]
async fn processes_that_start_together_migrate_once() {
    let Some(server) = Server::shared() else { return };
    let ground = server.database();
    let starts = (0..6).map(|_| {
        let url = ground.url();
        tokio::spawn(async move { connect(&url).await.migrate(&schema(), &[GRAIN, MORE]).await })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap().unwrap();
    }
    assert_eq!(ground.psql("select count(*) from mill_one.migration"), "2");
}

#[tokio::test]
async fn who_may_not_migrate_waits_for_who_may() {
    let Some(server) = Server::shared() else { return };
    let ground = server.database();
    let awaiting = |patience| PostgresConfig { migrations: Migrations::Await(patience), ..config(&ground.url()) };
    let db = Database::connect(&awaiting(Duration::ZERO)).await.unwrap();
    let error = db.migrate(&schema(), &[GRAIN, MORE]).await.unwrap_err();
    assert!(matches!(error, DatabaseError::OlderSchema { found: 0, known: 2, .. }), "{error:?}");
    assert_eq!(ground.psql("select count(*) from pg_tables where tablename = 'migration'"), "0", "it made nothing");
    let patient = Database::connect(&awaiting(Duration::from_secs(60))).await.unwrap();
    let own = schema();
    let (waited, applied) = tokio::join!(patient.migrate(&own, &[GRAIN, MORE]), async {
        connect(&ground.url()).await.migrate(&schema(), &[GRAIN, MORE]).await
    });
    applied.unwrap();
    waited.unwrap();
    db.migrate(&schema(), &[GRAIN, MORE]).await.unwrap();
    let error = db.migrate(&schema(), &[GRAIN]).await.unwrap_err();
    assert!(matches!(error, DatabaseError::NewerSchema { found: 2, known: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn a_transaction_whose_statement_failed_is_not_committed() {
    let Some(server) = Server::shared() else { return };
    let ground = server.database();
    let db = with_grain(&ground.url()).await;
    let mut tx = db.begin().await.unwrap();
    let insert = Sql::new(&schema(), "insert into {s}grain (id) values ($1)");
    tx.execute(&insert, values![3]).await.unwrap();
    assert!(matches!(tx.execute(&insert, values![3]).await, Err(DatabaseError::Conflict(_))));
    assert!(tx.commit().await.is_err(), "the server would say yes and keep nothing");
    assert_eq!(count(&db).await, 2);
}

#[tokio::test]
async fn a_schema_made_by_the_administrator_will_do() {
    let Some(server) = Server::shared() else { return };
    let ground = server.database();
    ground.psql("create role miller login password 'x'; create schema mill_one authorization miller;");
    let url = server.tcp_url(ground.name()).replace("gristmill:flour-and-water", "miller:x");
    let db = connect(&url).await;
    db.migrate(&schema(), &[GRAIN]).await.unwrap();
    // It may use that schema and make no other.
    let other = Schema::new(&Name::new("other").unwrap());
    let error = db.migrate(&other, &[GRAIN]).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Refused(_)), "{error:?}");
    // One that may only use the tables finds them up to date.
    ground.psql(
        "create role reader login password 'x'; grant usage on schema mill_one to reader; \
         grant select, insert, update, delete on all tables in schema mill_one to reader;",
    );
    let url = server.tcp_url(ground.name()).replace("gristmill:flour-and-water", "reader:x");
    let reader = connect(&url).await;
    reader.migrate(&schema(), &[GRAIN]).await.unwrap();
    reader.close().await;
    db.close().await;
    ground.psql("drop schema mill_one cascade; drop role miller; drop role reader;");
}

#[tokio::test]
async fn rows_and_names_are_held_to_the_end_of_a_transaction() {
    let Some(server) = Server::shared() else { return };
    let ground = server.database();
    let db = with_grain(&ground.url()).await;
    let (mut one, mut two) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    assert_eq!(ids(&mut one, "select id from {s}grain order by id limit 1{lock}").await.unwrap(), [1]);
    let free = ids(&mut two, "select id from {s}grain order by id limit 1{free}").await.unwrap();
    assert_eq!(free, [2], "what is held is left out");
    one.lock(&schema(), "name").await.unwrap();
    two.lock(&schema(), "other name").await.unwrap();
    let error = two.lock(&schema(), "name").await.unwrap_err();
    assert!(matches!(error, DatabaseError::Busy(_)) && error.is_transient(), "{error:?}");
    drop(two);
    one.commit().await.unwrap();
    let mut three = db.begin().await.unwrap();
    three.lock(&schema(), "name").await.unwrap();
    assert_eq!(ids(&mut three, "select id from {s}grain order by id{lock}").await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn transactions_in_each_others_way_are_told_to_try_again() {
    let Some(server) = Server::shared() else { return };
    let ground = server.database();
    let patient = PostgresConfig { lock: Duration::from_secs(20), ..config(&ground.url()) };
    with_grain(&ground.url()).await;
    let db = Database::connect(&patient).await.unwrap();
    let (mut one, mut two) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    ids(&mut one, "select id from {s}grain where id = 1{lock}").await.unwrap();
    ids(&mut two, "select id from {s}grain where id = 2{lock}").await.unwrap();
    let (first, second) = tokio::join!(
        async {
            let answer = ids(&mut one, "select id from {s}grain where id = 2{lock}").await;
            drop(one);
            answer
        },
        async {
            let answer = ids(&mut two, "select id from {s}grain where id = 1{lock}").await;
            drop(two);
            answer
        }
    );
    let refused: Vec<_> = [first, second].into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 1, "a deadlock is broken by ending one");
    assert!(matches!(&refused[0], DatabaseError::Contended(_)), "{refused:?}");
}

#[tokio::test]
async fn texts_with_zero_bytes_are_stored_without() {
    let Some(server) = Server::shared() else { return };
    let ground = server.database();
    let db = with_grain(&ground.url()).await;
    let mut tx = db.begin().await.unwrap();
    let update = Sql::new(&schema(), "update {s}grain set note = $1 where id = 1 returning note");
    let row = tx.fetch_optional(&update, values!["a\0b"]).await.unwrap().unwrap();
    assert_eq!(row.get::<String>("note").unwrap(), "a\u{fffd}b");
}

#[tokio::test]
async fn committed_news_are_heard_by_every_listener() {
    let Some(server) = Server::shared() else { return };
    let ground = server.database();
    let (here, there) = (connect(&ground.url()).await, connect(&ground.url()).await);
    let mut ear = there.listen(&schema()).await.unwrap();
    assert_eq!(ear.heard().await, Some(Heard::Gap), "what came before was not heard");
    assert!(ear.is_connected());
    for (message, commits) in [("lost", false), ("told", true)] {
        let mut tx = here.begin().await.unwrap();
        tx.notify(&schema(), message).await.unwrap();
        if commits {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
    }
    assert_eq!(ear.heard().await, Some(Heard::Message("told".into())));
    // The listener's connection is cut: it comes back, and says that it was away.
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN%' and datname = current_database()";
    assert_eq!(ground.psql(cut), "t");
    assert_eq!(ear.heard().await, Some(Heard::Gap));
}

#[tokio::test]
async fn clocks_are_corrected_to_the_servers() {
    let Some(server) = Server::shared() else { return };
    let ground = server.database();
    let db = connect(&ground.url()).await;
    let hour = 3_600_000_000;
    let behind = gristmill_types::ManualClock::at(SystemClock.now() - hour);
    let offset = db.clock_offset(&behind).await.unwrap();
    assert!((offset - hour).abs() < 60_000_000, "{offset}");
}

#[tokio::test]
async fn a_server_that_only_reads_is_told_and_left() {
    let Some(mut server) = Server::start() else { return };
    let db = with_grain(&server.url("postgres")).await;
    let insert = Sql::new(&schema(), "insert into {s}grain (id) values (3)");
    let write = async || {
        let mut tx = db.begin().await?;
        tx.execute(&insert, vec![]).await?;
        tx.rollback().await
    };
    write().await.unwrap();
    let only_reads = |value: &str| {
        server.psql("postgres", &format!("alter system set default_transaction_read_only = {value}"));
        server.psql("postgres", "select pg_reload_conf()");
    };
    // The server takes up a setting in its own time.
    only_reads("on");
    let error = loop {
        if let Err(error) = write().await {
            break error;
        }
    };
    assert!(matches!(error, DatabaseError::ReadOnly(_)) && error.is_transient(), "{error:?}");
    assert_eq!(count(&db).await, 2, "reading goes on");
    only_reads("off");
    while write().await.is_err() {}
    // Stopped: every call says so; started again: every call works, on new connections.
    server.stop();
    let error = db.fetch(&Sql::from("select 1 as n"), vec![]).await.unwrap_err();
    assert!(error.is_transient() && error.code() == ErrorCode::Unavailable, "{error:?}");
    server.resume();
    let mut tx = db.begin().await.unwrap();
    tx.execute(&insert, vec![]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_connection_cut_in_a_transaction_leaves_nothing() {
    let Some(server) = Server::shared() else { return };
    let ground = server.database();
    let db = with_grain(&ground.url()).await;
    let mut tx = db.begin().await.unwrap();
    tx.execute(&Sql::new(&schema(), "insert into {s}grain (id) values (3)"), vec![]).await.unwrap();
    let cut = tx.fetch(&Sql::from("select pg_terminate_backend(pg_backend_pid()) as cut"), vec![]).await;
    assert!(matches!(cut.unwrap_err(), DatabaseError::Unreachable(_)));
    assert!(tx.commit().await.is_err());
    assert_eq!(count(&db).await, 2);
}
