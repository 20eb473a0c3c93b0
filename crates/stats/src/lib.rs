//! Profiles, schema validation, distances, metrics, intervals and gate rules: pure and in f64.
