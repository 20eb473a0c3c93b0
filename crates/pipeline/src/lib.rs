//! Stage: a pipeline file to durable runs of the other stages.
