//! Content-addressed artifacts on an object store.
