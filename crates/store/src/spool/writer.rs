//! Writes a temporary file and hashes it on a second thread at the same time.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use tempfile::{NamedTempFile, TempPath};

use crate::StoreError;
use crate::manifest::{PartEntry, PartHasher};

/// Bytes per write: large enough that the cost of a call vanishes, small enough to stay in the cache
/// between the write and the hash.
const BLOCK: usize = 1 << 20;
/// Blocks between the writing and the hashing thread: enough that neither waits for the other's turn on a
/// busy machine.
const AHEAD: usize = 8;
const WRITING: &str = "writing a part";

/// A part whose bytes are complete and hashed, and that nobody can see yet.
#[derive(Debug)]
pub(crate) struct Spooled {
    pub(crate) temp: TempPath,
    pub(crate) file: File,
    pub(crate) entry: PartEntry,
}

enum Block {
    /// Goes back to the writer when it is hashed.
    Pooled(Vec<u8>),
    /// Belongs to the caller.
    Shared(Bytes),
}

enum Hashing {
    /// A part of one block is hashed where it is written: no thread is worth it.
    Here(PartHasher),
    There {
        blocks: SyncSender<Block>,
        emptied: Receiver<Vec<u8>>,
        thread: JoinHandle<PartHasher>,
    },
    /// Only while a thread is being started or joined.
    Nowhere,
}

/// Takes the bytes of one part. Blocking: use it on a blocking thread.
pub(crate) struct SpoolWriter {
    file: File,
    temp: TempPath,
    buffer: Vec<u8>,
    hashing: Hashing,
    made: usize,
}

impl SpoolWriter {
    pub(crate) fn new(file: NamedTempFile) -> Self {
        let (file, temp) = file.into_parts();
        Self { file, temp, buffer: Vec::new(), hashing: Hashing::Here(PartHasher::default()), made: 1 }
    }

    /// Adds bytes without copying them.
    pub(crate) fn write_shared(&mut self, mut bytes: Bytes) -> Result<(), StoreError> {
        if bytes.len() < BLOCK {
            return self.write_all(&bytes).map_err(StoreError::io(WRITING));
        }
        self.flush_buffer().map_err(StoreError::io(WRITING))?;
        while !bytes.is_empty() {
            let block = bytes.split_to(bytes.len().min(BLOCK));
            // Handed over first, so that the hash runs while this thread writes.
            self.hash(Block::Shared(block.clone())).map_err(StoreError::io(WRITING))?;
            self.file.write_all(&block).map_err(StoreError::io(WRITING))?;
        }
        Ok(())
    }

    /// Adds all that `source` holds.
    pub(crate) fn write_from(&mut self, source: &mut impl Read) -> Result<(), StoreError> {
        loop {
            let start = self.buffer.len();
            self.buffer.resize(BLOCK, 0);
            let read = source.read(self.buffer.get_mut(start..).unwrap_or_default());
            self.buffer.truncate(start + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(()),
                Ok(_) if self.buffer.len() < BLOCK => {}
                Ok(_) => self.flush_buffer().map_err(StoreError::io(WRITING))?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(StoreError::io("reading the source of a part")(e)),
            }
        }
    }

    /// Ends the part; its bytes are in the file, not yet on the disk.
    pub(crate) fn finish(mut self, name: String) -> Result<Spooled, StoreError> {
        self.flush_buffer().map_err(StoreError::io(WRITING))?;
        let hasher = match std::mem::replace(&mut self.hashing, Hashing::Nowhere) {
            Hashing::Here(hasher) => hasher,
            Hashing::There { blocks, emptied, thread } => {
                drop(blocks);
                drop(emptied);
                thread.join().map_err(|_| StoreError::Thread("hashing a part"))?
            }
            Hashing::Nowhere => return Err(StoreError::Thread("hashing a part")),
        };
        let mut permissions = self.file.metadata().map_err(StoreError::io(WRITING))?.permissions();
        // Published bytes never change; a program that tries to is told so by the system.
        permissions.set_readonly(true);
        self.file.set_permissions(permissions).map_err(StoreError::io(WRITING))?;
        Ok(Spooled { temp: self.temp, file: self.file, entry: hasher.finish(name) })
    }

    fn flush_buffer(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.buffer)?;
        let next = self.next_buffer();
        let full = std::mem::replace(&mut self.buffer, next);
        self.hash(Block::Pooled(full))
    }

    fn next_buffer(&mut self) -> Vec<u8> {
        if let Hashing::There { emptied, .. } = &self.hashing {
            let emptied = if self.made > AHEAD { emptied.recv().ok() } else { emptied.try_recv().ok() };
            if let Some(buffer) = emptied {
                return buffer;
            }
        }
        self.made += 1;
        Vec::with_capacity(BLOCK)
    }

    fn hash(&mut self, block: Block) -> io::Result<()> {
        let small = block.bytes().len() < BLOCK;
        match &mut self.hashing {
            Hashing::Here(hasher) if small => {
                hasher.update(block.bytes());
                Ok(())
            }
            Hashing::Here(_) => {
                self.start_thread()?;
                self.hash(block)
            }
            Hashing::There { blocks, .. } => blocks.send(block).map_err(|_| lost()),
            Hashing::Nowhere => Err(lost()),
        }
    }

    fn start_thread(&mut self) -> io::Result<()> {
        let Hashing::Here(mut hasher) = std::mem::replace(&mut self.hashing, Hashing::Nowhere) else {
            return Err(lost());
        };
        let (blocks, incoming) = sync_channel::<Block>(AHEAD);
        let (empty, emptied) = sync_channel(AHEAD * 2);
        let thread = std::thread::Builder::new().name("store-hash".into()).spawn(move || {
            for block in incoming {
                hasher.update(block.bytes());
                if let Block::Pooled(mut buffer) = block {
                    buffer.clear();
                    // The writer may be done with buffers; then this one is simply freed.
                    drop(empty.try_send(buffer));
                }
            }
            hasher
        })?;
        self.hashing = Hashing::There { blocks, emptied, thread };
        Ok(())
    }
}

impl Write for SpoolWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() >= BLOCK {
            self.flush_buffer()?;
        }
        let room = BLOCK - self.buffer.len();
        let now = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.buffer.extend_from_slice(now);
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Bytes count once the part is finished; writing short blocks earlier gains nothing.
        Ok(())
    }
}

impl Block {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Pooled(buffer) => buffer,
            Self::Shared(bytes) => bytes,
        }
    }
}

fn lost() -> io::Error {
    io::Error::other("the hashing thread ended early")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::CHUNK_BYTES;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 31 % 257) as u8).collect()
    }

    fn expected(bytes: &[u8]) -> PartEntry {
        let mut hasher = PartHasher::default();
        hasher.update(bytes);
        hasher.finish("x".into())
    }

    #[test]
    fn every_way_of_writing_gives_the_same_entry_and_file() {
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 9 * BLOCK + 7, CHUNK_BYTES as usize + 3] {
            let bytes = bytes(len);
            let shared = |w: &mut SpoolWriter| w.write_shared(Bytes::copy_from_slice(&bytes)).unwrap();
            let read = |w: &mut SpoolWriter| w.write_from(&mut bytes.as_slice()).unwrap();
            let pieces = |w: &mut SpoolWriter| bytes.chunks(100_003).for_each(|c| w.write_all(c).unwrap());
            let mixed = |w: &mut SpoolWriter| {
                let (a, b) = bytes.split_at(len / 3);
                w.write_all(a).unwrap();
                w.write_shared(Bytes::copy_from_slice(b)).unwrap();
            };
            for way in [&shared as &dyn Fn(&mut SpoolWriter), &read, &pieces, &mixed] {
                let mut writer = SpoolWriter::new(NamedTempFile::new().unwrap());
                way(&mut writer);
                let spooled = writer.finish("x".into()).unwrap();
                assert_eq!(spooled.entry, expected(&bytes), "{len} bytes");
                assert!(std::fs::read(&spooled.temp).unwrap() == bytes, "{len} bytes");
            }
        }
    }

    #[test]
    fn a_full_disk_is_named_and_leaves_no_file() {
        let (file, temp) = NamedTempFile::new().unwrap().into_parts();
        drop(file);
        let path = temp.to_path_buf();
        // The kernel's own full device: every write to it ends with ENOSPC.
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut writer = SpoolWriter::new(NamedTempFile::from_parts(full, temp));
        let error = writer.write_shared(Bytes::from(bytes(3 * BLOCK))).unwrap_err();
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
        assert_eq!(error.code(), gristmill_types::ErrorCode::ResourceExhausted);
        drop(writer);
        assert!(!path.exists());
    }
}
