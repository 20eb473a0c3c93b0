//! Stage: prepared data and a study to a leaderboard and a model.
