//! The long tier: faults at random, by a printed seed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::flour::Flour;
use crate::mill::Mill;
use crate::proxy::{Fault, Way};
use crate::until;

/// The seed to repeat; without it one of the clock.
const SEED: &str = "GRISTMILL_FAULT_SEED";
/// How many studies.
const ROUNDS: &str = "GRISTMILL_FAULT_ROUNDS";

/// splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// One fault of many, at a random worker or way; answers what it was.
fn harm(mill: &mut Mill, dice: &mut Dice) -> &'static str {
    let worker = ["far1", "far2", "near"][dice.below(3) as usize];
    match dice.below(8) {
        0 => {
            mill.take_worker(worker).kill();
            mill.work(worker);
            "worker killed"
        }
        1 => {
            mill.worker(worker).signal("STOP");
            pass(Duration::from_millis(dice.below(8_000)));
            mill.worker(worker).signal("CONT");
            "worker stopped for a while"
        }
        2 => {
            let (code, log) = mill.take_worker(worker).end();
            assert_eq!(code, 0, "{log}");
            mill.work(worker);
            "worker told to go"
        }
        3 => {
            // A stage that cannot reach its database at its start ends; whoever started it starts it again.
            mill.to_database.set(Fault::None);
            mill.stage("one").kill();
            mill.serve("one", &[]);
            mill.wait_ready("one");
            "stage killed"
        }
        4 => {
            let ways = [vec![Way::ToServer], vec![Way::ToClient], vec![Way::ToServer, Way::ToClient]];
            mill.to_stage.set(Fault::BlackHole(ways[dice.below(3) as usize].clone()));
            pass(Duration::from_millis(dice.below(8_000)));
            mill.to_stage.set(Fault::None);
            "partition"
        }
        5 => {
            mill.to_stage.cut();
            "connections of workers cut"
        }
        6 => {
            let fired = mill.to_database.fired();
            mill.to_database.set(Fault::CutOn { sent: b"commit\0", delivered: dice.below(2) == 0, times: 2 });
            until("commits are cut", || mill.to_database.fired() > fired || over(mill));
            "commits cut"
        }
        _ => {
            mill.to_database.cut();
            "connections of the database cut"
        }
    }
}

fn over(mill: &Mill) -> bool {
    mill.count("job", "kind = 'study' and state not in ('queued', 'running')") == 1
}

/// How long a fault lasts is part of the fault; nothing is concluded from it.
fn pass(time: Duration) {
    std::thread::sleep(time);
}

#[test]
#[ignore = "the long tier: cargo test -p gristmill-tests --test fault -- --ignored --nocapture"]
fn faults_at_random_change_nothing() {
    let by_clock = || std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
    let seed = setting(SEED).unwrap_or_else(by_clock);
    let mut dice = Dice(seed);
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for round in 0..setting(ROUNDS).unwrap_or(20) {
        eprintln!("round {round}, {SEED}={}", dice.0);
        let Some(mut mill) = Mill::new() else { return };
        for worker in ["far1", "far2", "near"] {
            mill.work(worker);
        }
        let id = mill.submit("r", &Flour::shared().spec);
        let mut faults = 0;
        while faults < 6 && !over(&mill) {
            *times.entry(harm(&mut mill, &mut dice)).or_insert(0) += 1;
            faults += 1;
        }
        assert!(faults > 0);
        eprintln!(
            "  {faults} faults, pieces held and connections cut: {}",
            mill.to_stage.fired() + mill.to_database.fired()
        );
        mill.to_stage.set(Fault::None);
        mill.to_database.set(Fault::None);
        assert_eq!(mill.submit("r", &Flour::shared().spec), id);
        mill.judge_study(&id);
    }
    for (fault, times) in times {
        eprintln!("{times:>4} × {fault}");
    }
}

#[test]
#[ignore = "the long tier: eight leases run out"]
fn a_trial_that_kills_its_workers_ends_and_the_others_do_not() {
    let Some(mut mill) = Mill::new() else { return };
    mill.work("near");
    let id = mill.submit("r", &Flour::shared().spec);
    let poison = mill.catch_at_work("near");
    let ended = format!("id = '{poison}' and state = 'failed'");
    while mill.count("job", &ended) == 0 {
        let near = mill.recorded("near");
        if mill.count("job", &format!("id = '{poison}' and state = 'running' and worker = '{near}'")) == 1 {
            mill.take_worker("near").kill();
            mill.work("near");
        }
    }
    mill.finished(&id);
    let history = mill.judge();
    let of_poison = history.attempts.iter().filter(|attempt| attempt.job == poison);
    assert_eq!(of_poison.filter(|attempt| attempt.outcome == "lost").count(), 8, "{history:#?}");
    let others = history.jobs.iter().filter(|(job, row)| row.kind == "trial" && **job != poison);
    assert!(others.clone().count() >= 3 && others.clone().all(|(_, row)| row.state == "succeeded"), "{history:#?}");
}
