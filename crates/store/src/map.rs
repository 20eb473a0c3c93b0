//! Read-only memory maps of published files.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

/// A mapped file.
#[derive(Debug)]
pub(crate) struct Mapping(memmap2::Mmap);

impl Mapping {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        // SAFETY: the store publishes a file read-only, complete, under the digest of its bytes, and
        // replaces it only by a rename, which leaves this mapping on the old file; a deleted file stays
        // until it is unmapped. Nobody but the service's user can write below the store's folder, so the
        // bytes do not change and the file does not shrink under the map.
        unsafe { memmap2::Mmap::map(file) }.map(Self)
    }

    /// Bytes that keep the mapping alive.
    pub(crate) fn bytes(self: Arc<Self>) -> Bytes {
        Bytes::from_owner(Owner(self))
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

struct Owner(Arc<Mapping>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}
