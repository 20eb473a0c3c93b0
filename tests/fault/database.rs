//! Rows 11, 12: connections to the database that are cut in a commit, and a database that is stopped or only reads.

use std::process::Command;
use std::time::{Duration, Instant};

use gristmill_testpg::Server;
use tonic::Code;

use crate::flour::Flour;
use crate::mill::{LEASE, Mill};
use crate::proxy::{Fault, Way};
use crate::until;

/// Cuts connections of the stage at commits of its own, spread over a study.
fn cut_commits(delivered: bool) {
    let Some(mut mill) = Mill::new() else { return };
    let spec = &Flour::shared().spec;
    let cut = Fault::CutOn { sent: b"commit\0", delivered, times: 2 };
    // The first commits from here on are the submission's own.
    mill.to_database.set(cut.clone());
    let id = mill.submit("r", spec);
    mill.work("near");
    let mut fired = mill.to_database.fired();
    assert!(fired >= 1, "a submission is a commit");
    for _ in 0..3 {
        mill.to_database.set(cut.clone());
        until("commits are cut", || mill.to_database.fired() >= fired + 2);
        fired = mill.to_database.fired();
    }
    mill.to_database.set(Fault::None);
    assert_eq!(mill.submit("r", spec), id);
    mill.judge_study(&id);
}

#[test]
fn a_commit_that_never_arrives_is_done_again() {
    cut_commits(false);
}

#[test]
fn a_commit_whose_answer_is_lost_is_not_done_twice() {
    cut_commits(true);
}

/// Whatever a worker has while the database is away stays with it: heartbeats could not be heard, so silence means nothing.
#[test]
fn a_database_that_is_away_for_longer_than_a_lease_costs_no_attempt() {
    let Some(mut mill) = Mill::new() else { return };
    mill.work("near");
    let id = mill.submit("r", &Flour::shared().spec);
    mill.catch_at_work("near");
    let begin = Instant::now();
    mill.to_database.set(Fault::BlackHole(vec![Way::ToServer, Way::ToClient]));
    mill.to_database.cut();
    mill.worker("near").signal("CONT");
    until("the outage is longer than a lease", || begin.elapsed() > 2 * Duration::from_secs(LEASE));
    mill.to_database.set(Fault::None);
    assert!(mill.to_database.fired() > 1);
    let history = mill.judge_study(&id);
    assert_eq!(history.count("lost"), 0, "{history:#?}");
}

#[test]
fn a_database_that_crashes_and_recovers_loses_nothing() {
    // A server of its own: others must not lose their connections.
    let Some(server) = Server::start() else { return };
    let server: &'static Server = Box::leak(Box::new(server));
    let Some(mut mill) = Mill::on(server, false) else { return };
    mill.work("near");
    let id = mill.submit("r", &Flour::shared().spec);
    for _ in 0..2 {
        mill.catch_at_work("near");
        // The server takes a killed backend for damage to shared memory: all end, and it recovers from its log.
        let others = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
        let pid = mill.ask(&format!("{others} limit 1"));
        assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
        until("the stage has lost its connections", || {
            mill.try_ask(others).is_some_and(|pids| !pids.lines().any(|other| other == pid))
        });
        mill.worker("near").signal("CONT");
    }
    mill.judge_study(&id);
}

#[test]
fn a_database_that_only_reads_is_waited_for() {
    let Some(mut mill) = Mill::new() else { return };
    let spec = &Flour::shared().spec;
    mill.work("near");
    let id = mill.submit("r", spec);
    let trial = mill.catch_at_work("near");
    mill.only_read(true);
    mill.worker("near").signal("CONT");
    let mut refused = None;
    until("a new study is refused", || {
        refused = mill.try_submit("one", "later", spec).err();
        refused.is_some()
    });
    let refused = refused.unwrap();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert_eq!(mill.count("request", "request_id = 'later'"), 0);
    assert_eq!(mill.count("job", &format!("id = '{trial}' and state = 'running'")), 1, "it cannot say that it is done");
    mill.only_read(false);
    mill.judge_study(&id);
}
