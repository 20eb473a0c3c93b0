//! Stage: sources to a dataset with schema, profile and anomalies.
