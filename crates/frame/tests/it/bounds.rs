//! The child is bounded: memory, time, and the wish to stop.

use std::time::Instant;

use gristmill_frame::Error;
use gristmill_frame::child::{Program, integrate};

use super::bench::{Bench, sql};

fn numbers(count: usize) -> Bench {
    let mut text = String::from("id\n");
    (0..count).for_each(|n| text.push_str(&format!("{n}\n")));
    Bench::new().csv("a", &text)
}

/// Compares every pair of rows as text, for hours.
const ENDLESS: &str =
    "SELECT COUNT(*) AS n FROM a CROSS JOIN a AS c CROSS JOIN a AS d WHERE CONCAT(a.id, c.id, d.id) = 'x'";

#[test]
fn an_endless_cross_join_ends_within_a_second_of_the_wish() {
    let bench = numbers(600);
    let job = bench.job(sql("a", ENDLESS));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let mut begun = Some(begun);
    let mut wished = None;
    let ended = runtime.block_on(integrate(
        &job,
        &Program::test_harness("frame_child"),
        |phase| {
            if phase == "step 1" {
                begun.take().map(|begun| begun.send(()));
            }
        },
        async {
            has_begun.await.unwrap();
            wished = Some(Instant::now());
        },
    ));
    assert_eq!(ended.unwrap_err(), Error::Cancelled);
    assert!(wished.unwrap().elapsed().as_secs_f64() < 1.0);
}

#[test]
fn it_ends_at_its_time_limit() {
    let mut bench = numbers(600);
    bench.bounds.wall_seconds = 1;
    assert_eq!(bench.run(sql("a", ENDLESS)).unwrap_err(), Error::Timeout { seconds: 1 });
}

#[test]
fn it_ends_at_its_memory_limit() {
    let mut bench = numbers(30_000);
    bench.bounds.memory_bytes = 256 << 20;
    let query = "SELECT a.id, c.id AS other FROM a CROSS JOIN a AS c";
    assert_eq!(bench.run(sql("a", query)).unwrap_err(), Error::Memory { mebibytes: 256 });
}

#[test]
fn a_program_that_is_not_a_child_is_an_error() {
    let bench = numbers(3);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let program = Program { path: Some("/bin/false".into()), args: Vec::new() };
    let job = bench.job(sql("a", "SELECT id FROM a"));
    let error = runtime.block_on(integrate(&job, &program, |_| {}, std::future::pending())).unwrap_err();
    assert_eq!(error.reason(), "CHILD_DIED");
}
