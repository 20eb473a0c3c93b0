//! Stage: model, test split, gate and champion to a report and a verdict.
