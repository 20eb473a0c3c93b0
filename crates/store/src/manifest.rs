//! The manifest of an artifact: one canonical JSON text, named by the digest of its bytes.

use std::collections::BTreeSet;

use gristmill_types::{ArtifactKind, ArtifactRef, Digest, Hasher, Name};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// Bytes that one chunk digest covers.
pub const CHUNK_BYTES: u64 = 8 << 20;
/// The version of the manifest's own format.
const FORMAT_VERSION: u32 = 1;
/// Most bytes of a manifest: a bound on what is read before anything is known.
pub(crate) const MAX_MANIFEST_BYTES: u64 = 32 << 20;
const MAX_PARTS: usize = 1_024;
const MAX_INPUTS: usize = 1_024;

/// Says which code made an artifact from which specification.
///
/// Only what decides the bytes stands here; ids, times, hosts and workers are observations that the
/// job ledger keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Producer {
    /// The class of CPU the bytes depend on (`any` if they do not).
    pub cpu_class: Name,
    /// The stage's `LOGIC_VERSION`.
    pub logic_version: u32,
    /// Digest of the checked specification.
    pub spec_digest: Digest,
    /// The stage.
    pub stage: Name,
}

/// One named run of bytes of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartEntry {
    /// Digests of each [`CHUNK_BYTES`] of it, the last one shorter; none for an empty part.
    pub(crate) chunks: Vec<Digest>,
    /// Digest of the whole part: what `sha256sum` prints.
    pub(crate) digest: Digest,
    /// Its name, unique within the artifact.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) size: u64,
}

impl PartEntry {
    /// The part's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Digests of its chunks of [`CHUNK_BYTES`].
    pub fn chunks(&self) -> &[Digest] {
        &self.chunks
    }
}

/// What an artifact is made of. Keys are sorted, values are integers and texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    kind: ArtifactKind,
    producer: Producer,
    inputs: Vec<ArtifactRef>,
    parts: Vec<PartEntry>,
}

/// The JSON form; its fields stand in the order of their names.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format_version: u32,
    inputs: Vec<WireInput>,
    kind: ArtifactKind,
    parts: Vec<PartEntry>,
    producer: Producer,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireInput {
    digest: Digest,
    kind: ArtifactKind,
}

impl Manifest {
    /// Builds the manifest: inputs and parts are sorted, repeated inputs are named once.
    ///
    /// # Errors
    /// No part, too many parts or inputs, a bad or repeated part name.
    pub(crate) fn new(
        kind: ArtifactKind,
        producer: Producer,
        inputs: &[ArtifactRef],
        mut parts: Vec<PartEntry>,
    ) -> Result<Self, StoreError> {
        let inputs: BTreeSet<ArtifactRef> = inputs.iter().copied().collect();
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        let manifest = Self { kind, producer, inputs: inputs.into_iter().collect(), parts };
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads a manifest and refuses every text but the one that [`Self::to_bytes`] writes.
    ///
    /// # Errors
    /// [`StoreError::Manifest`] says what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(StoreError::Manifest(format!("it is longer than {MAX_MANIFEST_BYTES} bytes")));
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|e| StoreError::Manifest(e.to_string()))?;
        if wire.format_version != FORMAT_VERSION {
            return Err(StoreError::Manifest(format!(
                "its format version is {}, this program reads {FORMAT_VERSION}: use a newer program",
                wire.format_version
            )));
        }
        let inputs = wire.inputs.iter().map(|i| ArtifactRef { kind: i.kind, digest: i.digest }).collect();
        let manifest = Self { kind: wire.kind, producer: wire.producer, inputs, parts: wire.parts };
        manifest.check()?;
        if manifest.to_bytes() != bytes {
            return Err(StoreError::Manifest("it is not in canonical form (sorted, no spaces)".into()));
        }
        Ok(manifest)
    }

    /// The canonical bytes: compact JSON with sorted keys.
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            format_version: FORMAT_VERSION,
            inputs: self.inputs.iter().map(|i| WireInput { digest: i.digest, kind: i.kind }).collect(),
            kind: self.kind,
            parts: self.parts.clone(),
            producer: self.producer.clone(),
        };
        #[expect(clippy::expect_used, reason = "integers, texts and lists of them always have a JSON form")]
        serde_json::to_vec(&wire).expect("a manifest is plain JSON")
    }

    /// The artifact that these bytes are.
    pub fn artifact(&self) -> ArtifactRef {
        ArtifactRef { kind: self.kind, digest: Digest::of(&self.to_bytes()) }
    }

    /// What it holds.
    pub fn kind(&self) -> ArtifactKind {
        self.kind
    }

    /// What made it.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    /// What it was made from, sorted.
    pub fn inputs(&self) -> &[ArtifactRef] {
        &self.inputs
    }

    /// Its parts, sorted by name.
    pub fn parts(&self) -> &[PartEntry] {
        &self.parts
    }

    /// The part of this name.
    pub fn part(&self, name: &str) -> Option<&PartEntry> {
        self.parts.binary_search_by(|part| part.name.as_str().cmp(name)).ok().and_then(|at| self.parts.get(at))
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.parts.is_empty() || self.parts.len() > MAX_PARTS {
            return Err(StoreError::Manifest(format!(
                "it has {} parts: an artifact has 1 to {MAX_PARTS}",
                self.parts.len()
            )));
        }
        if self.inputs.len() > MAX_INPUTS {
            return Err(StoreError::Manifest(format!("it has more than {MAX_INPUTS} inputs")));
        }
        for part in &self.parts {
            check_part_name(&part.name)?;
            if part.chunks.len() as u64 != part.size.div_ceil(CHUNK_BYTES) {
                return Err(StoreError::Manifest(format!(
                    "part `{}` has the wrong number of chunk digests",
                    part.name
                )));
            }
        }
        for pair in self.parts.windows(2) {
            if let [a, b] = pair
                && a.name >= b.name
            {
                return Err(if a.name == b.name {
                    StoreError::DuplicatePart(a.name.clone())
                } else {
                    StoreError::Manifest("its parts are not sorted by name".into())
                });
            }
        }
        if !self.inputs.is_sorted_by(|a, b| a < b) {
            return Err(StoreError::Manifest("its inputs are not sorted, or one stands twice".into()));
        }
        Ok(())
    }
}

/// Refuses names that could be read as paths, hidden files or options.
pub(crate) fn check_part_name(name: &str) -> Result<(), StoreError> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let all = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if first && all && name.len() <= 128 && !name.contains("..") {
        Ok(())
    } else {
        Err(StoreError::PartName(name.chars().take(80).collect()))
    }
}

/// Hashes bytes as a whole and per chunk, in order.
///
/// The first chunk's digest is the whole's at its end, so bytes are hashed twice only after it.
#[derive(Debug, Default)]
pub(crate) struct PartHasher {
    whole: Hasher,
    /// Of the chunk under way, from the second one on.
    chunk: Hasher,
    in_chunk: u64,
    size: u64,
    chunks: Vec<Digest>,
}

impl PartHasher {
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = usize::try_from(CHUNK_BYTES - self.in_chunk).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.whole.update(now);
            if !self.chunks.is_empty() {
                self.chunk.update(now);
            }
            self.in_chunk += now.len() as u64;
            if self.in_chunk == CHUNK_BYTES {
                self.end_chunk();
            }
            bytes = later;
        }
    }

    pub(crate) fn finish(mut self, name: String) -> PartEntry {
        if self.in_chunk > 0 {
            self.end_chunk();
        }
        PartEntry { chunks: self.chunks, digest: self.whole.finish(), name, size: self.size }
    }

    fn end_chunk(&mut self) {
        let ended = if self.chunks.is_empty() { self.whole.clone() } else { std::mem::take(&mut self.chunk) };
        self.chunks.push(ended.finish());
        self.in_chunk = 0;
    }
}

#[cfg(test)]
mod tests;
