//! The lease protocol as a model, searched exhaustively (stateright): one job, its artifact, two workers, a
//! network that loses, repeats and delays commits, a reaper and a collector that may run at any moment.
//!
//! Time is not modelled: a lease may run out at any step, so nothing here rests on clocks. The one thing
//! that does is collection: a sweep ends within half the grace, so an artifact grows by at most one of
//! three ages (put again from the second on, deleted in the third) while one runs.

use std::collections::BTreeSet;
use std::fmt::Debug;

use stateright::{Checker, Model, Property};

const WORKERS: usize = 2;
const MAX_TRIES: u8 = 3;
/// Attempts looked at; releases would make more without end.
const MAX_FENCE: u8 = 4;

/// The protocol, or one with a safeguard left out.
#[derive(Debug, Clone, Copy)]
struct Protocol {
    /// A commit checks that its attempt is the latest.
    fenced: bool,
    /// A digest is pinned before it is put.
    pinned: bool,
    /// An artifact that is there, but not young, is put again.
    put_again: bool,
    /// A commit of a job that has succeeded changes nothing.
    repeatable: bool,
}

const REAL: Protocol = Protocol { fenced: true, pinned: true, put_again: true, repeatable: true };

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Worker {
    Idle,
    /// Holds, or believes to hold, the lease of this attempt.
    Claimed(u8),
    Pinned(u8),
    Put(u8),
    Sent(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Age {
    /// Less than half the grace.
    Young,
    /// Less than the grace.
    Middle,
    Old,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Sweep {
    /// A root named the artifact when roots were read.
    rooted: bool,
    /// The artifact has grown older since.
    aged: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    phase: Phase,
    fence: u8,
    tries: u8,
    cancel: bool,
    pins: BTreeSet<u8>,
    /// Attempt whose commit took effect, and how often one did.
    committed: Option<u8>,
    commits: u8,
    artifact: Option<Age>,
    sweep: Option<Sweep>,
    workers: [Worker; WORKERS],
    /// Commits under way; delivered any number of times, or never.
    mail: BTreeSet<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Claim(usize),
    /// The claim is recorded and its answer lost.
    ClaimUnheard,
    Pin(usize),
    Put(usize),
    Send(usize),
    Deliver(u8),
    Lose(u8),
    Release(usize),
    Fail(usize),
    Crash(usize),
    Expire,
    Cancel,
    Age,
    ReadRoots,
    Delete,
}

impl State {
    const fn holds(&self, fence: u8) -> bool {
        self.fence == fence && matches!(self.phase, Phase::Running)
    }

    /// An attempt ended without a result.
    fn ended(&mut self, retry: bool) {
        self.pins.clear();
        self.phase = match (self.cancel, retry) {
            (true, _) => Phase::Cancelled,
            (false, true) => Phase::Queued,
            (false, false) => Phase::Failed,
        };
    }

    fn claim(&mut self) -> bool {
        if self.phase != Phase::Queued || self.fence == MAX_FENCE {
            return false;
        }
        self.phase = Phase::Running;
        self.fence += 1;
        self.tries += 1;
        true
    }

    fn rooted(&self) -> bool {
        self.committed.is_some() || !self.pins.is_empty()
    }
}

impl Protocol {
    fn deliver(self, state: &mut State, fence: u8) {
        if self.fenced && state.fence != fence {
            return;
        }
        match state.phase {
            Phase::Running if state.cancel => state.ended(false),
            Phase::Running => {
                state.pins.clear();
                state.phase = Phase::Succeeded;
                state.committed = Some(fence);
                state.commits += 1;
            }
            Phase::Succeeded if !self.repeatable => state.commits = (state.commits + 1).min(2),
            _ => {}
        }
    }

    fn step(self, state: &mut State, at: usize, action: Action) -> Option<Worker> {
        let worker = *state.workers.get(at)?;
        match (action, worker) {
            (Action::Claim(_), Worker::Idle) => state.claim().then_some(Worker::Claimed(state.fence)),
            (Action::Pin(_), Worker::Claimed(fence)) if !self.pinned => Some(Worker::Pinned(fence)),
            (Action::Pin(_), Worker::Claimed(fence)) if state.holds(fence) => {
                state.pins.insert(fence);
                Some(Worker::Pinned(fence))
            }
            // Refused: the attempt is dropped.
            (Action::Pin(_), Worker::Claimed(_)) => Some(Worker::Idle),
            (Action::Put(_), Worker::Pinned(fence)) => {
                let again = self.put_again && state.artifact.is_some_and(|age| age > Age::Young);
                if again || state.artifact.is_none() {
                    state.artifact = Some(Age::Young);
                }
                Some(Worker::Put(fence))
            }
            (Action::Send(_), Worker::Put(fence) | Worker::Sent(fence)) => {
                state.mail.insert(fence).then_some(Worker::Sent(fence))
            }
            (
                Action::Release(_) | Action::Fail(_),
                Worker::Claimed(fence) | Worker::Pinned(fence) | Worker::Put(fence),
            ) => {
                if state.holds(fence) {
                    let released = matches!(action, Action::Release(_));
                    state.tries -= u8::from(released);
                    state.ended(released || state.tries < MAX_TRIES);
                }
                Some(Worker::Idle)
            }
            (Action::Crash(_), worker) if worker != Worker::Idle => Some(Worker::Idle),
            _ => None,
        }
    }

    fn aside(self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::ClaimUnheard => state.claim().then_some(()),
            Action::Deliver(fence) => {
                let before = state.clone();
                self.deliver(state, fence);
                (*state != before).then_some(())
            }
            Action::Lose(fence) => state.mail.remove(&fence).then_some(()),
            Action::Expire if state.phase == Phase::Running => {
                state.ended(state.tries < MAX_TRIES);
                Some(())
            }
            Action::Cancel if state.phase == Phase::Queued => {
                state.phase = Phase::Cancelled;
                Some(())
            }
            Action::Cancel if state.phase == Phase::Running && !state.cancel => {
                state.cancel = true;
                Some(())
            }
            Action::Age => {
                let older = match state.artifact? {
                    Age::Young => Age::Middle,
                    Age::Middle => Age::Old,
                    Age::Old => return None,
                };
                if let Some(sweep) = &mut state.sweep {
                    if sweep.aged {
                        return None;
                    }
                    sweep.aged = true;
                }
                state.artifact = Some(older);
                Some(())
            }
            Action::ReadRoots if state.sweep.is_none() && state.artifact.is_some() => {
                state.sweep = Some(Sweep { rooted: state.rooted(), aged: false });
                Some(())
            }
            Action::Delete => {
                let sweep = state.sweep.take()?;
                if !sweep.rooted && state.artifact == Some(Age::Old) {
                    state.artifact = None;
                }
                Some(())
            }
            _ => None,
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        // An equal artifact of long ago may be there, named by nobody.
        let state = |artifact| State {
            phase: Phase::Queued,
            fence: 0,
            tries: 0,
            cancel: false,
            pins: BTreeSet::new(),
            committed: None,
            commits: 0,
            artifact,
            sweep: None,
            workers: [Worker::Idle; WORKERS],
            mail: BTreeSet::new(),
        };
        vec![state(None), state(Some(Age::Old))]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for at in 0..WORKERS {
            let own: [fn(usize) -> Action; 7] =
                [Action::Claim, Action::Pin, Action::Put, Action::Send, Action::Release, Action::Fail, Action::Crash];
            actions.extend(own.map(|make| make(at)));
        }
        actions.extend(state.mail.iter().flat_map(|fence| [Action::Deliver(*fence), Action::Lose(*fence)]));
        actions.extend([
            Action::ClaimUnheard,
            Action::Expire,
            Action::Cancel,
            Action::Age,
            Action::ReadRoots,
            Action::Delete,
        ]);
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Claim(at)
            | Action::Pin(at)
            | Action::Put(at)
            | Action::Send(at)
            | Action::Release(at)
            | Action::Fail(at)
            | Action::Crash(at) => {
                let worker = self.step(&mut state, at, action)?;
                *state.workers.get_mut(at)? = worker;
            }
            _ => self.aside(&mut state, action)?,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one commit takes effect", |_, state: &State| state.commits <= 1),
            Property::always("it is the latest attempt's", |_, state: &State| {
                state.committed.is_none_or(|fence| fence == state.fence)
            }),
            Property::always("what was committed is there", |_, state: &State| {
                state.committed.is_none() || state.artifact.is_some()
            }),
            Property::always("what has ended stays ended", |_, state: &State| {
                state.committed.is_some() == (state.phase == Phase::Succeeded)
            }),
            Property::always("attempts are bounded", |_, state: &State| state.tries <= MAX_TRIES),
            Property::sometimes("a later attempt finishes", |_, state: &State| {
                state.committed.is_some_and(|fence| fence > 1)
            }),
            Property::sometimes("a zombie's commit is under way after the end", |_, state: &State| {
                state.committed.is_some_and(|by| state.mail.iter().any(|fence| *fence != by))
            }),
            Property::sometimes("a cancellation comes before the commit", |_, state: &State| {
                state.phase == Phase::Cancelled && !state.mail.is_empty()
            }),
            Property::sometimes("it fails for good", |_, state: &State| state.phase == Phase::Failed),
            Property::sometimes("what nobody names is collected", |_, state: &State| {
                state.artifact.is_none() && state.phase == Phase::Cancelled
            }),
        ]
    }
}

#[test]
fn the_lease_protocol_holds_in_every_order_of_events() {
    let checked = REAL.checker().threads(2).spawn_bfs().join();
    checked.assert_properties();
    assert!(checked.unique_state_count() > 50_000, "{} states", checked.unique_state_count());
}

/// Leaving a safeguard out is found out: the properties can fail.
#[test]
fn each_safeguard_is_needed() {
    let broken = [
        (Protocol { fenced: false, ..REAL }, "it is the latest attempt's"),
        (Protocol { pinned: false, ..REAL }, "what was committed is there"),
        (Protocol { put_again: false, ..REAL }, "what was committed is there"),
        (Protocol { repeatable: false, ..REAL }, "one commit takes effect"),
    ];
    for (protocol, property) in broken {
        let checked = protocol.checker().threads(2).spawn_bfs().join();
        assert!(checked.discovery(property).is_some(), "{protocol:?} breaks nothing");
    }
}
