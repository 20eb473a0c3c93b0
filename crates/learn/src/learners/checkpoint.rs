//! Bytes of a checkpoint: a line of JSON that says what follows, then the learner's own bytes.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::learner::FitContext;

/// Raised when older bytes would be misread.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Head<S> {
    version: u32,
    /// The fit it belongs to.
    seed: u64,
    rounds: Option<u32>,
    state: S,
}

/// A checkpoint of the fit of `context`: what the learner remembers beside its `body`.
pub(super) fn write<S: Serialize>(context: &FitContext<'_>, state: &S, body: &[u8]) -> Result<Vec<u8>, LearnError> {
    let head = Head { version: VERSION, seed: context.seed, rounds: context.rounds, state };
    let mut bytes = serde_json::to_vec(&head).map_err(|error| LearnError::fit("checkpoint", error))?;
    bytes.push(b'\n');
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// What an earlier attempt at the fit of `context` left: its state and body. None if there is nothing, or
/// nothing that can be read.
pub(super) fn read<'a, S: DeserializeOwned>(context: &FitContext<'a>) -> Option<(S, &'a [u8])> {
    let bytes = context.hook.checkpoint()?;
    let line = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, body) = bytes.split_at_checked(line)?;
    let head: Head<S> = serde_json::from_slice(head).ok()?;
    let ours = head.version == VERSION && head.seed == context.seed && head.rounds == context.rounds;
    ours.then_some((head.state, body.get(1..)?))
}
