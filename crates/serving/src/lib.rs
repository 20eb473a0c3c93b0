//! Stage: a model version to online predictions over REST and gRPC, and batch prediction.
