//! Sandbox, fixtures and fault helpers for the tests of every crate.
