//! Gate rules and the verdict.
