//! Stage: a dataset and a recipe to train, validation and test splits and a fitted transform.
