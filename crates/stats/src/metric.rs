//! Weighted metrics for binary, multiclass and regression tasks.
