//! The table of limits: what is bounded, and by how much.

/// Bounds on what comes from outside. Every part that enforces one names the limit and its value in
/// the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Columns of one table.
    pub columns: usize,
    /// Bytes of one cell of text.
    pub cell_bytes: usize,
    /// Distinct values kept of one category column; the rest share one id.
    pub categories: usize,
    /// Nesting depth of JSON and YAML.
    pub depth: usize,
    /// Rows of one online request.
    pub request_rows: usize,
    /// Bytes of one online request.
    pub request_bytes: usize,
    /// Bytes of one control request.
    pub control_bytes: usize,
    /// Bytes of one model file.
    pub model_bytes: usize,
    /// Trees of one model.
    pub trees: usize,
    /// Nodes of one tree.
    pub tree_nodes: usize,
    /// Bytes of one SQL text.
    pub sql_bytes: usize,
    /// Sources of one dataset.
    pub sources: usize,
}

impl Limits {
    /// The limits in force.
    pub const DEFAULT: Self = Self {
        columns: 4_096,
        cell_bytes: 1 << 20,
        categories: 1_024,
        depth: 64,
        request_rows: 10_000,
        request_bytes: 32 << 20,
        control_bytes: 4 << 20,
        model_bytes: 1 << 30,
        trees: 100_000,
        tree_nodes: 1 << 20,
        sql_bytes: 64 << 10,
        sources: 64,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
