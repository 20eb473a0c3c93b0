//! Seeds and generators.
