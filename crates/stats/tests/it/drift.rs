//! Tests of `drift`.
