//! Stage: immutable model versions, aliases by compare-and-swap, and lineage.
