//! Row 23: clocks that are an hour and a half off, so that the hours of log lines differ for certain.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::flour::Flour;
use crate::mill::Mill;

/// The library that shifts a program's clock, where Debian and Ubuntu put it.
fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let found = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    found.chain([PathBuf::from("/usr/lib/faketime/libfaketime.so.1")]).find(|library| library.exists())
}

/// What shifts a program's wall clock by `shift`, such as `+90m`, and leaves its monotonic one.
fn shifted(library: &Path, shift: &str) -> [(&'static str, String); 3] {
    [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", shift.into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ]
}

/// The hour of the first log line.
fn first_hour(log: &str) -> String {
    let at = log.find("\"timestamp\":\"").unwrap_or_else(|| panic!("no time in {log}"));
    log[at..].chars().skip("\"timestamp\":\"".len()).take("2026-01-01T00".len()).collect()
}

#[test]
fn clocks_that_are_an_hour_off_take_no_lease() {
    let Some(library) = faketime() else {
        // Past the capture of the harness, which hides what passing tests print.
        let _ = writeln!(std::io::stderr(), "\n*** LEFT OUT: libfaketime is not installed; no clock is off ***\n");
        return;
    };
    for (stage, worker) in [("-90m", "+90m"), ("+90m", "-90m")] {
        let Some(mut mill) = Mill::new() else { return };
        mill.stage("one").kill();
        // Two replicas that disagree with each other, with the workers and with the database.
        mill.serve_with("one", &[], &shifted(&library, stage));
        mill.serve("two", &[]);
        mill.wait_ready("one");
        mill.wait_ready("two");
        mill.work_with("a", &[], &shifted(&library, worker));
        mill.work("b");
        let id = mill.submit("r", &Flour::shared().spec);
        let history = mill.judge_study(&id);
        assert_eq!(history.count("lost"), 0, "{history:#?}");
        let hours = ["a", "b"].map(|worker| first_hour(&mill.take_worker(worker).end().1));
        assert_ne!(hours[0], hours[1], "the clock was shifted");
    }
}
