//! Tests of `interval`.
