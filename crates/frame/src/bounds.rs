//! What one integration may use.

use gristmill_types::Limits;
use serde::{Deserialize, Serialize};

/// Bounds on reading and on the child process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Resident memory of the child in bytes.
    pub memory_bytes: u64,
    /// Wall time of the child in seconds.
    pub wall_seconds: u64,
    /// Threads of the child.
    pub threads: usize,
    /// Bytes of one source after decompression.
    pub source_bytes: u64,
    /// Rows of one table.
    pub rows: u64,
    /// Columns of one table.
    pub columns: usize,
    /// Bytes of one text.
    pub cell_bytes: usize,
    /// Bytes of one SQL text.
    pub sql_bytes: usize,
    /// Number of sources, and of steps.
    pub sources: usize,
    /// Decompressed bytes of a CSV file that decide its types; the rest is checked against them.
    pub sample_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        let limits = Limits::DEFAULT;
        Self {
            memory_bytes: 8 << 30,
            wall_seconds: 1_800,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            source_bytes: 64 << 30,
            // Row numbers are 32 bits wide in the engine.
            rows: u64::from(u32::MAX) - 1,
            columns: limits.columns,
            cell_bytes: limits.cell_bytes,
            sql_bytes: limits.sql_bytes,
            sources: limits.sources,
            sample_bytes: 64 << 20,
        }
    }
}
