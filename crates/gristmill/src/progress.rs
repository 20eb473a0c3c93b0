//! Progress on standard error: one bar per step, nothing when nobody looks.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use gristmill_proto::job::{JobState, Progress};
use gristmill_proto::pipeline::Step;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::seconds;

/// A bar's full width in thousandths of its work.
const FULL: u64 = 1000;
/// How often a bar that waits turns.
const TURN: Duration = Duration::from_millis(100);

/// The bars of one command.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    steps: BTreeMap<String, (ProgressBar, JobState)>,
    shown: bool,
    /// Steps are told as plain lines where there is no terminal.
    lines: bool,
}

impl Bars {
    /// Bars for a terminal, lines for a file or a pipe, nothing when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let shown = terminal && !quiet;
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { all: MultiProgress::with_draw_target(target), steps: BTreeMap::new(), shown, lines: !terminal && !quiet }
    }

    /// A bar for an upload.
    pub fn upload(&self, name: &str) -> ProgressBar {
        let bar = self.all.add(ProgressBar::new(0));
        bar.set_style(style("  {prefix:14} {wide_bar:.cyan/dim} {bytes}/{total_bytes}"));
        bar.set_prefix(name.to_owned());
        bar
    }

    /// A bar for work whose progress comes as messages.
    pub fn work(&self, name: &str) -> ProgressBar {
        let bar = self.all.add(ProgressBar::new(FULL));
        bar.set_style(style("{spinner} {prefix:14} {bar:24.cyan/dim} {wide_msg}"));
        bar.set_prefix(name.to_owned());
        if self.shown {
            bar.enable_steady_tick(TURN);
        }
        bar
    }

    /// Shows the steps of a run as they stand.
    pub fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            let state = step.state();
            if matches!(state, JobState::Unspecified | JobState::Queued) && !self.steps.contains_key(&step.stage) {
                continue;
            }
            let known = self.steps.get(&step.stage).map(|(_, state)| *state);
            if known.is_none() {
                let bar = self.work(&step.stage);
                self.steps.insert(step.stage.clone(), (bar, JobState::Unspecified));
            }
            let Some((bar, shown)) = self.steps.get_mut(&step.stage) else { continue };
            if let Some(progress) = &step.progress {
                advance(bar, progress);
            }
            if *shown == state {
                continue;
            }
            *shown = state;
            if ended(state) {
                let took = if step.cached { "reused".to_owned() } else { seconds(step.seconds) };
                bar.set_style(style("{prefix:16} {wide_msg}"));
                bar.finish_with_message(format!("{} {took}", mark(state)));
                if self.lines {
                    eprintln!("{:14} {} {took}", step.stage, mark(state));
                }
            }
        }
    }

    /// Takes the bars away, so that what follows stands alone.
    pub fn clear(&self) {
        let _no_terminal = self.all.clear();
    }
}

/// Moves a bar to where a job says it is.
pub fn advance(bar: &ProgressBar, progress: &Progress) {
    if progress.fraction >= 0.0 {
        bar.set_position((progress.fraction.min(1.0) * FULL as f64) as u64);
    }
    let message = [progress.phase.as_str(), progress.message.as_str()];
    bar.set_message(message.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", "));
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Whether a step in this state will not move any more.
pub const fn ended(state: JobState) -> bool {
    matches!(state, JobState::Succeeded | JobState::Failed | JobState::Cancelled)
}

const fn mark(state: JobState) -> &'static str {
    match state {
        JobState::Succeeded => "done",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
        _ => "",
    }
}
