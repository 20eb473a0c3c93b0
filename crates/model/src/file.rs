//! The frame of a model file: magic, version, length, payload, digest.

use gristmill_types::Digest;
use prost::Message;

use crate::{ModelError, proto};

/// First bytes of a model file.
pub const MAGIC: [u8; 8] = *b"GRISTMDL";
/// Version of the frame.
pub const FRAME_VERSION: u32 = 1;
/// Newest `format_version` of the message this reader knows.
pub const FORMAT_VERSION: u32 = 1;

const HEADER: usize = 8 + 4 + 8;
const DIGEST: usize = 32;

/// Frames a message. The bytes depend on nothing but the message.
pub fn write(message: &proto::Model) -> Vec<u8> {
    let payload = message.encode_to_vec();
    let mut bytes = Vec::with_capacity(HEADER + payload.len() + DIGEST);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FRAME_VERSION.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&payload);
    let digest = Digest::of(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    bytes
}

/// Takes the frame off and decodes the message, which is not checked for its meaning yet.
///
/// # Errors
/// [`ModelError`]: not a model file, a newer frame, cut, damaged, over `limit` bytes, not a message.
pub fn read(bytes: &[u8], limit: usize) -> Result<proto::Model, ModelError> {
    if bytes.len() > limit {
        return Err(ModelError::TooLarge { found: bytes.len() as u64, limit: limit as u64 });
    }
    let rest = bytes.strip_prefix(&MAGIC).ok_or(ModelError::Magic)?;
    let short = |expected: u64| ModelError::Length { found: bytes.len() as u64, expected };
    let (version, rest) = rest.split_first_chunk().ok_or_else(|| short((HEADER + DIGEST) as u64))?;
    let found = u32::from_le_bytes(*version);
    if found != FRAME_VERSION {
        return Err(ModelError::Version { what: "frame", found, known: FRAME_VERSION });
    }
    let (length, rest) = rest.split_first_chunk().ok_or_else(|| short((HEADER + DIGEST) as u64))?;
    let length = u64::from_le_bytes(*length);
    let expected = length.saturating_add((HEADER + DIGEST) as u64);
    if bytes.len() as u64 != expected {
        return Err(short(expected));
    }
    let (payload, stated) = rest.split_last_chunk::<DIGEST>().ok_or_else(|| short(expected))?;
    let framed = bytes.get(..bytes.len().saturating_sub(DIGEST)).ok_or_else(|| short(expected))?;
    if Digest::of(framed).as_bytes() != stated {
        return Err(ModelError::Digest);
    }
    proto::Model::decode(payload).map_err(|error| ModelError::Decode(error.to_string()))
}

/// Refuses a message whose meaning this reader may misread.
pub(crate) fn check_format(message: &proto::Model) -> Result<(), ModelError> {
    match message.format_version {
        FORMAT_VERSION => Ok(()),
        found => Err(ModelError::Version { what: "message", found, known: FORMAT_VERSION }),
    }
}
